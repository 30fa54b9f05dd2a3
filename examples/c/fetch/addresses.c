#define _POSIX_C_SOURCE 200809L
#include "addresses.h"

#include <errno.h>
#include <inttypes.h>
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

static int make_room(address_list *list, uint64_t count) {
  list->all = calloc(count, sizeof *list->all);
  list->items = calloc(count, sizeof *list->items);
  return list->all && list->items ? 0 : -1;
}

static void append(address_list *list, char *url) {
  list->all[list->count].url = url;
  list->items[list->count] = &list->all[list->count];
  list->count++;
}

int addresses_read(address_list *list, const char *path) {
  char *rest = NULL;
  *list = (address_list){0};
  list->text = read_text(path);
  if (!list->text) return -1;
  if (make_room(list, count_lines(list->text))) return -1;
  for (char *line = strtok_r(list->text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) append(list, line);
  return 0;
}

int addresses_number(address_list *list, const char *base, uint64_t count) {
  const size_t size = strlen(base) + sizeof "/18446744073709551615.txt";
  *list = (address_list){0};
  list->text = calloc(count, size);
  if (!list->text || make_room(list, count)) return -1;
  for (uint64_t page = 0; page < count; page++) {
    char *url = list->text + page * size;
    snprintf(url, size, "%s/%04" PRIu64 ".txt", base, page + 1);
    append(list, url);
  }
  return 0;
}

void addresses_free(address_list *list) {
  free(list->items);
  free(list->all);
  free(list->text);
}
