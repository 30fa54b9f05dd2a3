#define _POSIX_C_SOURCE 200809L
#include "addresses.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads all of a file, and ends it with a zero. Returns NULL with errno if that failed. */
static char *read_text(const char *path) {
  FILE *file = fopen(path, "r");
  char *text = NULL;
  size_t capacity = 0;
  if (!file) return NULL;
  errno = 0;
  const ssize_t size = getdelim(&text, &capacity, 0, file); /* a list of addresses has no zero: this reads it all */
  const int error = errno;
  fclose(file);
  if (size >= 0) return text;
  free(text);
  errno = error;
  return error ? NULL : calloc(1, 1); /* no error: the file is empty */
}

static uint64_t count_lines(const char *text) {
  uint64_t lines = 1; /* the last one may lack its newline */
  for (const char *at = text; *at; at++) lines += *at == '\n';
  return lines;
}

int addresses_read(address_list *list, const char *path) {
  char *rest = NULL;
  *list = (address_list){0};
  list->text = read_text(path);
  if (!list->text) return -1;
  const uint64_t lines = count_lines(list->text);
  list->all = calloc(lines, sizeof *list->all);
  list->items = calloc(lines, sizeof *list->items);
  if (!list->all || !list->items) return -1;
  for (char *line = strtok_r(list->text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    list->all[list->count].url = line;
    list->items[list->count] = &list->all[list->count];
    list->count++;
  }
  return 0;
}

void addresses_free(address_list *list) {
  free(list->items);
  free(list->all);
  free(list->text);
}
