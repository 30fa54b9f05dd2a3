/* The rows of etl: orders as a shop sends them, and as the books want them. */
#ifndef EXAMPLES_ORDERS_H
#define EXAMPLES_ORDERS_H

#include <stddef.h>
#include <stdint.h>

/* The first lines. What comes out of a row is never longer than what went in. */
#define ORDERS_HEADER_IN "order,ordered_at,customer,country,quantity,unit_price,currency,checksum"
#define ORDERS_HEADER_OUT "order,ordered_at_utc,customer,country,net_eur,vat_eur"

/* Why a row is invalid. */
enum {
  ORDER_VALID = 0,
  ORDER_COLUMNS,
  ORDER_CHECKSUM,
  ORDER_TIME,
  ORDER_COUNTRY,
  ORDER_QUANTITY,
  ORDER_PRICE,
  ORDER_CURRENCY,
  ORDER_FAULTS /* how many there are, ORDER_VALID included */
};

enum { ORDER_SIZE_MAX = 1024, ORDER_WHY_SIZE = 128 };

/* What a fault is about: "price". */
const char *order_fault_name(int fault);

/* Converts a row in place: checks its checksum and each column, turns its time into UTC, and its price into euros and tax.
 *   size  at most ORDER_SIZE_MAX; becomes that of the new row
 *   why   receives a message if the row is invalid
 * Returns ORDER_VALID, or what is wrong: the row is then as it was. */
int order_convert(char *text, size_t *size, char why[ORDER_WHY_SIZE]);

/* Writes row `number`, the same one each time for the same state; one in a thousand is invalid.
 *   state  of the random numbers; moved on
 *   text   room for ORDER_SIZE_MAX bytes
 *   fault  receives what is wrong with the row
 * Returns the size of the row. */
size_t order_generate(uint64_t *state, uint64_t number, char *text, int *fault);

#endif
