// The ready-made codecs.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "capi/src/tasks.hpp"

namespace pa {
namespace {

process::Writer& writer_of(pa_buffer* buffer) { return *reinterpret_cast<process::Writer*>(buffer); }

void free_object(void*, void* object) { std::free(object); }

int32_t write(pa_buffer* out, const void* data, size_t size) { return writer_of(out).append(data, size) ? 0 : ENOMEM; }

int32_t encode_string(void*, const void* object, pa_buffer* out) {
  return write(out, object, std::strlen(static_cast<const char*>(object)));
}

int32_t decode_string(void*, const void* data, size_t size, void** object) {
  auto* copy = static_cast<char*>(std::malloc(size + 1));
  if (!copy) return ENOMEM;
  std::memcpy(copy, data, size);
  copy[size] = '\0';
  *object = copy;
  return 0;
}

void* view_string(void*, const char* data, size_t) { return const_cast<char*>(data); }

int32_t encode_range(void*, const void* object, pa_buffer* out) {
  const auto& range = *static_cast<const pa_bytes*>(object);
  return write(out, range.data, range.size);
}

int32_t decode_range(void*, const void* data, size_t size, void** object) {
  *object = pa_bytes_new(data, size);
  return *object ? 0 : ENOMEM;
}

int32_t encode_struct(void* size, const void* object, pa_buffer* out) {
  return write(out, object, reinterpret_cast<size_t>(size));
}

int32_t decode_struct(void* expected, const void* data, size_t size, void** object) {
  if (size != reinterpret_cast<size_t>(expected)) return EBADMSG;
  void* copy = std::malloc(size);
  if (!copy) return ENOMEM;
  std::memcpy(copy, data, size);
  *object = copy;
  return 0;
}

void* view_struct(void* expected, const char* data, size_t size) {
  return size == reinterpret_cast<size_t>(expected) ? const_cast<char*>(data) : nullptr;
}

int32_t encode_word(void*, const void* object, pa_buffer* out) { return write(out, &object, sizeof object); }

int32_t decode_word(void*, const void* data, size_t size, void** object) {
  if (size != sizeof *object) return EBADMSG;
  std::memcpy(object, data, size);
  return 0;
}

}  // namespace

int32_t encode(const pa_codec& codec, const void* object, process::Writer& out) noexcept {
  return codec.encode(codec.ctx, object, reinterpret_cast<pa_buffer*>(&out));
}

int32_t encode_to(const pa_codec& codec, const void* object, std::string& bytes) {
  process::Region region;
  process::Writer writer(region);
  writer.start_at(0);
  if (!region.map_private() || !writer.open()) throw std::bad_alloc();
  const int32_t code = encode(codec, object, writer);
  if (writer.out_of_room()) throw std::bad_alloc();
  if (!code) bytes.assign(writer.data(), writer.size());
  return code;
}

View view_of(const pa_codec& codec) {
  return codec.decode == decode_string ? view_string : codec.decode == decode_struct ? view_struct : nullptr;
}

}  // namespace pa

pa_status pa_buffer_append(pa_buffer* buffer, const void* data, size_t size) {
  return pa::writer_of(buffer).append(data, size) ? PA_STATUS_OK : PA_STATUS_NO_MEMORY;
}

pa_bytes* pa_bytes_new(const void* data, size_t size) {
  if (size > SIZE_MAX - sizeof(pa_bytes)) return nullptr;
  auto* bytes = static_cast<pa_bytes*>(std::malloc(sizeof(pa_bytes) + size));
  if (!bytes) return nullptr;
  if (size) std::memcpy(bytes + 1, data, size);
  bytes->data = bytes + 1;
  bytes->size = size;
  return bytes;
}

void pa_codec_string(pa_codec* codec) {
  if (codec) *codec = {pa::encode_string, pa::decode_string, pa::free_object, nullptr, {}};
}

void pa_codec_bytes(pa_codec* codec) {
  if (codec) *codec = {pa::encode_range, pa::decode_range, pa::free_object, nullptr, {}};
}

void pa_codec_struct(pa_codec* codec, size_t size) {
  // The size is all the context that such a codec needs. NOLINTNEXTLINE(performance-no-int-to-ptr)
  if (codec) *codec = {pa::encode_struct, pa::decode_struct, pa::free_object, reinterpret_cast<void*>(size), {}};
}

void pa_codec_word(pa_codec* codec) {
  if (codec) *codec = {pa::encode_word, pa::decode_word, nullptr, nullptr, {}};
}
