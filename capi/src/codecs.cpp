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

// ---- strings

pa_bytes bytes_of_string(void*, const void* object) { return {object, std::strlen(static_cast<const char*>(object))}; }

void* place_string(void*, const void* data, size_t size, void* memory) {
  auto* copy = static_cast<char*>(memory);
  std::memcpy(copy, data, size);
  copy[size] = '\0';
  return copy;
}

void* view_string(void*, const char* data, size_t) { return const_cast<char*>(data); }

constexpr ReadyMade kString{bytes_of_string, 1, place_string, view_string};

// ---- ranges

pa_bytes bytes_of_range(void*, const void* object) { return *static_cast<const pa_bytes*>(object); }

void* place_range(void*, const void* data, size_t size, void* memory) {
  auto* range = static_cast<pa_bytes*>(memory);
  if (size) std::memcpy(range + 1, data, size);
  range->data = range + 1;
  range->size = size;
  return range;
}

constexpr ReadyMade kRange{bytes_of_range, sizeof(pa_bytes), place_range, nullptr};

// ---- structs

pa_bytes bytes_of_struct(void* size, const void* object) { return {object, reinterpret_cast<size_t>(size)}; }

void* place_struct(void* expected, const void* data, size_t size, void* memory) {
  return size == reinterpret_cast<size_t>(expected) ? std::memcpy(memory, data, size) : nullptr;
}

void* view_struct(void* expected, const char* data, size_t size) {
  return size == reinterpret_cast<size_t>(expected) ? const_cast<char*>(data) : nullptr;
}

constexpr ReadyMade kStruct{bytes_of_struct, 0, place_struct, view_struct};

// ---- all of these

template <const ReadyMade& kind>
int32_t encode_as(void* ctx, const void* object, pa_buffer* out) {
  const pa_bytes bytes = kind.bytes_of(ctx, object);
  return writer_of(out).append(bytes.data, bytes.size) ? 0 : ENOMEM;
}

template <const ReadyMade& kind>
int32_t decode_as(void* ctx, const void* data, size_t size, void** object) {
  if (size > SIZE_MAX - kind.overhead) return ENOMEM;
  void* memory = std::malloc(kind.overhead + size);
  if (!memory) return ENOMEM;
  *object = kind.place(ctx, data, size, memory);
  if (*object) return 0;
  std::free(memory);
  return EBADMSG;
}

template <const ReadyMade& kind>
pa_codec codec_of(void* ctx) {
  return {encode_as<kind>, decode_as<kind>, free_object, ctx, {}};
}

template <const ReadyMade& kind>
bool is(const pa_codec& codec) {
  return codec.decode == decode_as<kind> && codec.release == free_object;
}

// ---- numbers

int32_t encode_word(void*, const void* object, pa_buffer* out) {
  return writer_of(out).append(&object, sizeof object) ? 0 : ENOMEM;
}

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

const ReadyMade* ready_made(const pa_codec& codec) {
  return is<kString>(codec) ? &kString : is<kRange>(codec) ? &kRange : is<kStruct>(codec) ? &kStruct : nullptr;
}

}  // namespace pa

pa_status pa_buffer_append(pa_buffer* buffer, const void* data, size_t size) {
  return pa::writer_of(buffer).append(data, size) ? PA_STATUS_OK : PA_STATUS_NO_MEMORY;
}

pa_bytes* pa_bytes_new(const void* data, size_t size) {
  void* bytes = nullptr;
  return pa::decode_as<pa::kRange>(nullptr, data, size, &bytes) ? nullptr : static_cast<pa_bytes*>(bytes);
}

void pa_codec_string(pa_codec* codec) {
  if (codec) *codec = pa::codec_of<pa::kString>(nullptr);
}

void pa_codec_bytes(pa_codec* codec) {
  if (codec) *codec = pa::codec_of<pa::kRange>(nullptr);
}

void pa_codec_struct(pa_codec* codec, size_t size) {
  // The size is all the context that such a codec needs. NOLINTNEXTLINE(performance-no-int-to-ptr)
  if (codec) *codec = pa::codec_of<pa::kStruct>(reinterpret_cast<void*>(size));
}

void pa_codec_word(pa_codec* codec) {
  if (codec) *codec = {pa::encode_word, pa::decode_word, nullptr, nullptr, {}};
}
