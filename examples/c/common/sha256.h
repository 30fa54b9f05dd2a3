/* SHA-256 with OpenSSL, written as sha256sum writes it. */
#ifndef EXAMPLES_SHA256_H
#define EXAMPLES_SHA256_H

#include <openssl/evp.h>

#define SHA256_HEX_SIZE 65 /* 64 digits and the terminating zero */

/* Begins a digest; then comes EVP_DigestUpdate for every piece. Returns 1, or 0 if OpenSSL failed. */
int sha256_begin(EVP_MD_CTX *digest);

/* Ends it, and writes it as hexadecimal digits. Returns 1, or 0 if OpenSSL failed. */
int sha256_finish(EVP_MD_CTX *digest, char hex[SHA256_HEX_SIZE]);

#endif
