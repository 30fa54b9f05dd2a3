/* The inputs of etl: the lines of a file, in blocks that are used again and again. */
#ifndef EXAMPLES_LINES_H
#define EXAMPLES_LINES_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A line, without its newline. What becomes of it may be written over it. */
typedef struct line {
  char *text;
  size_t size;
} line;

struct block;

typedef struct lines {
  int file;
  off_t size;           /* of the file */
  off_t offset;         /* where the next block begins */
  size_t line_max;      /* no line may be longer */
  uint64_t read;        /* lines in all blocks so far */
  line *at, *end;       /* those of the newest block that were not given out yet */
  pthread_mutex_t lock; /* guards the rest: blocks go round between the thread that reads and the one that retires */
  struct block *oldest, *newest; /* those in use, in the order of their lines */
  struct block *spare;
  uint64_t retired; /* bytes */
} lines;

/* Opens a file, whose first line must be `header`. Returns 0 or errno; EINVAL for another header. */
int lines_open(lines *from, const char *path, const char *header, size_t line_max);

/* A pa_source.next; ctx is the lines. Items are `line *`, valid until they are retired. Fails with errno; EMSGSIZE for a line
 * that is too long. */
int32_t lines_next(void *ctx, void **items, size_t max, size_t *got);

/* The first `count` of all lines are not needed any more. Returns how many bytes of the file came before what is still in use. */
uint64_t lines_retire(lines *from, uint64_t count);

void lines_close(lines *from);

#endif
