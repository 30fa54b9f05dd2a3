#define _POSIX_C_SOURCE 200809L
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 256 * 1024, BLOCK_LINES = 8192 };

typedef struct block {
  struct block *next;
  uint64_t end;   /* the number of the line behind its last one */
  uint64_t bytes; /* of the file, that is: up to and with its last line */
  line all[BLOCK_LINES];
  char text[BLOCK_BYTES];
} block;

/* ------------------------------------------------------------------ blocks */

static block *take_spare(lines *from) {
  pthread_mutex_lock(&from->lock);
  block *spare = from->spare;
  if (spare) from->spare = spare->next;
  pthread_mutex_unlock(&from->lock);
  return spare ? spare : malloc(sizeof *spare);
}

static void put_spare(lines *from, block *b) {
  pthread_mutex_lock(&from->lock);
  b->next = from->spare;
  from->spare = b;
  pthread_mutex_unlock(&from->lock);
}

static void put_last(lines *from, block *b) {
  b->next = NULL;
  pthread_mutex_lock(&from->lock);
  if (from->oldest)
    from->newest->next = b;
  else
    from->oldest = b;
  from->newest = b;
  pthread_mutex_unlock(&from->lock);
}

uint64_t lines_retire(lines *from, uint64_t count) {
  pthread_mutex_lock(&from->lock);
  while (from->oldest && from->oldest->end <= count) {
    block *b = from->oldest;
    from->retired = b->bytes;
    from->oldest = b->next;
    b->next = from->spare;
    from->spare = b;
  }
  const uint64_t bytes = from->retired;
  pthread_mutex_unlock(&from->lock);
  return bytes;
}

static void free_blocks(block *b) {
  while (b) {
    block *next = b->next;
    free(b);
    b = next;
  }
}

/* ------------------------------------------------------------------ reading */

/* Finds the lines in `size` bytes of text. A line that is cut off by the end of the block is left for the next one. Returns 0, or
 * EMSGSIZE for a line that is too long. */
static int divide(lines *from, block *b, size_t size, int ends_file) {
  char *text = b->text, *const end = b->text + size;
  line *l = b->all;
  while (text < end && l < b->all + BLOCK_LINES) {
    char *newline = memchr(text, '\n', (size_t)(end - text));
    if (!newline && !ends_file && (size_t)(end - text) <= from->line_max) break;
    l->text = text;
    l->size = (size_t)((newline ? newline : end) - text);
    if (l->size > from->line_max) return EMSGSIZE;
    text += l->size + (newline != NULL);
    l++;
  }
  from->at = b->all;
  from->end = l;
  from->offset += text - b->text;
  from->read += (uint64_t)(l - b->all);
  b->end = from->read;
  b->bytes = (uint64_t)from->offset;
  return 0;
}

/* Reads the next block. Returns 0, also at the end of the file, or errno. */
static int read_block(lines *from) {
  block *b = take_spare(from);
  if (!b) return ENOMEM;
  const ssize_t size = pread(from->file, b->text, BLOCK_BYTES, from->offset);
  const int error = size < 0 ? errno : divide(from, b, (size_t)size, from->offset + size >= from->size);
  if (error || size == 0)
    put_spare(from, b);
  else
    put_last(from, b);
  return error;
}

int lines_open(lines *from, const char *path, const char *header, size_t line_max) {
  struct stat about;
  *from = (lines){.line_max = line_max};
  pthread_mutex_init(&from->lock, NULL);
  from->file = open(path, O_RDONLY | O_CLOEXEC);
  if (from->file < 0 || fstat(from->file, &about)) return errno;
  from->size = about.st_size;

  char first[256];
  const size_t header_size = strlen(header);
  const ssize_t size = pread(from->file, first, sizeof first, 0);
  if (size < 0) return errno;
  if ((size_t)size <= header_size || first[header_size] != '\n' || memcmp(first, header, header_size) != 0) return EINVAL;
  from->offset = (off_t)header_size + 1;
  return 0;
}

int32_t lines_next(void *ctx, void **items, size_t max, size_t *got) {
  lines *from = ctx;
  if (from->at == from->end) {
    const int error = read_block(from);
    if (error) return error;
  }
  size_t count = (size_t)(from->end - from->at);
  if (count > max) count = max;
  for (size_t i = 0; i < count; i++) items[i] = from->at++;
  *got = count;
  return 0;
}

void lines_close(lines *from) {
  free_blocks(from->oldest);
  free_blocks(from->spare);
  if (from->file >= 0) close(from->file);
  pthread_mutex_destroy(&from->lock);
}
