/* The inputs of fetch: addresses, read from a file with one on each line. */
#ifndef EXAMPLES_ADDRESSES_H
#define EXAMPLES_ADDRESSES_H

#include <stdint.h>

typedef struct address {
  char *url;
  uint32_t refused; /* attempts that were answered 429; only one attempt at an address runs at a time, so no lock */
} address;

typedef struct address_list {
  uint64_t count;
  address *all;
  void **items; /* items[i] == &all[i], as pa_map wants them */
  char *text;   /* the file; each url points into it */
} address_list;

/* Reads the file; empty lines are left out. Returns 0, or -1 with errno. Free it with addresses_free in both cases. */
int addresses_read(address_list *list, const char *path);

/* Instead: BASE/0001.txt, BASE/0002.txt, ..., as the demo names its pages. */
int addresses_number(address_list *list, const char *base, uint64_t count);

void addresses_free(address_list *list);

#endif
