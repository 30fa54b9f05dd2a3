/* The inputs of files: all files below a directory, found while the first of them are already being worked on. */
#ifndef EXAMPLES_WALK_H
#define EXAMPLES_WALK_H

#include <fts.h>
#include <pa/pa.h>
#include <stdint.h>

/* An input. Not every one can be read: what the walk could not look into is an input, too, so that it is reported as an
 * item that failed. */
typedef struct entry {
  int error; /* errno that the walk got; 0 if this is a file */
  char path[];
} entry;

typedef struct walk {
  FTS *tree;
  uint64_t links_skipped;   /* symbolic links that lead somewhere: they are not followed */
  uint64_t special_skipped; /* sockets, pipes and devices */
} walk;

/* Begins a walk. Returns 0 or errno. */
int walk_open(walk *w, char *directory);

void walk_close(walk *w);

/* A pa_source.next; ctx is the walk. */
int32_t walk_next(void *ctx, void **items, size_t max, size_t *got);

/* A pa_source.release_item. */
void walk_release_item(void *ctx, void *item);

#endif
