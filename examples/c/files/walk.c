#define _DEFAULT_SOURCE /* fts.h */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

int walk_open(walk *w, char *directory) {
  char *const roots[] = {directory, NULL};
  struct stat about;
  *w = (walk){0};
  if (stat(directory, &about)) return errno;
  if (!S_ISDIR(about.st_mode)) return ENOTDIR;
  /* FTS_NOCHDIR: the working directory belongs to all threads, so the walk must not change it. */
  w->tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
  return w->tree ? 0 : errno;
}

void walk_close(walk *w) {
  if (w->tree) fts_close(w->tree);
}

/* Returns 1 if what was found becomes an item. *error is then 0, or why it cannot be read. */
static int is_item(walk *w, const FTSENT *found, int *error) {
  struct stat target;
  *error = 0;
  switch (found->fts_info) {
    case FTS_F: /* a regular file */
      return 1;
    case FTS_DNR: /* a directory that cannot be read */
    case FTS_NS:  /* something that cannot be looked at */
    case FTS_ERR:
      *error = found->fts_errno;
      return 1;
    case FTS_DC: /* a directory that contains itself */
      *error = ELOOP;
      return 1;
    case FTS_SL: /* a symbolic link: reported if it leads nowhere, else skipped */
      if (stat(found->fts_accpath, &target)) {
        *error = errno;
        return 1;
      }
      w->links_skipped++;
      return 0;
    case FTS_DEFAULT:
      w->special_skipped++;
      return 0;
    default: /* a directory, before or after what is in it */
      return 0;
  }
}

static entry *entry_new(const char *path, size_t size, int error) {
  entry *made = malloc(sizeof *made + size + 1);
  if (!made) return NULL;
  made->error = error;
  memcpy(made->path, path, size);
  made->path[size] = 0;
  return made;
}

/* Delivers one file at a time: a second one might be a slow directory away, and the first need not wait for it. */
int32_t walk_next(void *ctx, void **items, size_t max, size_t *got) {
  walk *w = ctx;
  (void)max;
  *got = 0;
  for (;;) {
    int error;
    errno = 0;
    const FTSENT *found = fts_read(w->tree);
    if (!found) return errno; /* 0 at the end */
    if (!is_item(w, found, &error)) continue;
    items[0] = entry_new(found->fts_path, found->fts_pathlen, error);
    if (!items[0]) return ENOMEM;
    *got = 1;
    return 0;
  }
}

void walk_release_item(void *ctx, void *item) {
  (void)ctx;
  free(item);
}
