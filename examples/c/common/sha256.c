#include "sha256.h"

int sha256_begin(EVP_MD_CTX *digest) { return EVP_DigestInit_ex(digest, EVP_sha256(), NULL); }

int sha256_finish(EVP_MD_CTX *digest, char hex[SHA256_HEX_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!EVP_DigestFinal_ex(digest, bytes, &size)) return 0;
  for (unsigned i = 0; i < size; i++) {
    hex[2 * i] = digits[bytes[i] >> 4];
    hex[2 * i + 1] = digits[bytes[i] & 15];
  }
  hex[2 * size] = 0;
  return 1;
}
