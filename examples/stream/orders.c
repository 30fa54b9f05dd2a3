#include "orders.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 8, FAULT_ONE_IN = 1000, TIME_SIZE = sizeof "2024-02-29T13:05:09+02:00" - 1 };

static const char *const kFaultNames[ORDER_FAULTS] = {"nothing", "columns",  "checksum", "time",
                                                      "country", "quantity", "price",    "currency"};

/* Value added tax in parts of a thousand, and euros for a unit of money in parts of ten thousand. */
static const struct country {
  char name[3];
  unsigned tax;
} kCountries[] = {{"DE", 190}, {"FR", 200}, {"ES", 210}, {"IT", 220}, {"NL", 210}, {"SE", 250}, {"PL", 230}, {"CH", 81}};
static const struct currency {
  char name[4];
  unsigned rate;
} kCurrencies[] = {{"EUR", 10000}, {"USD", 9200}, {"GBP", 11700}, {"CHF", 10400}, {"SEK", 870}, {"PLN", 2340}};
enum { COUNTRIES = sizeof kCountries / sizeof *kCountries, CURRENCIES = sizeof kCurrencies / sizeof *kCurrencies };

const char *order_fault_name(int fault) { return fault >= 0 && fault < ORDER_FAULTS ? kFaultNames[fault] : "unknown"; }

/* ------------------------------------------------------------------ writing: each returns the place behind what it wrote */

static char *put_text(char *at, const char *text, size_t size) {
  memcpy(at, text, size);
  return at + size;
}

/* With leading zeroes. */
static char *put_digits(char *at, uint64_t number, int digits) {
  for (int i = digits; i-- > 0; number /= 10) at[i] = (char)('0' + number % 10);
  return at + digits;
}

static char *put_number(char *at, uint64_t number) {
  int digits = 1;
  for (uint64_t rest = number; rest >= 10; rest /= 10) digits++;
  return put_digits(at, number, digits);
}

static char *put_money(char *at, uint64_t cents) {
  at = put_number(at, cents / 100);
  *at++ = '.';
  return put_digits(at, cents % 100, 2);
}

static char *put_hex(char *at, uint32_t number) {
  for (int shift = 28; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[number >> shift & 15];
  return at;
}

/* ------------------------------------------------------------------ reading */

typedef struct column {
  const char *text;
  size_t size;
} column;

/* Returns how many there are; those beyond COLUMNS are only counted. */
static int split(const char *text, size_t size, column columns[COLUMNS]) {
  const char *const end = text + size;
  int count = 0;
  for (const char *comma; text; text = comma ? comma + 1 : NULL) {
    comma = memchr(text, ',', (size_t)(end - text));
    if (count < COLUMNS) columns[count] = (column){text, (size_t)((comma ? comma : end) - text)};
    count++;
  }
  return count;
}

/* Reads `size` digits, and nothing else. Returns 1 if that is what there was. */
static int read_digits(const char *text, size_t size, unsigned *number) {
  *number = 0;
  if (size == 0 || size > 9) return 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return 0;
    *number = *number * 10 + (unsigned)(text[i] - '0');
  }
  return 1;
}

/* FNV-1a. */
static uint32_t checksum_of(const char *text, size_t size) {
  uint32_t sum = 2166136261u;
  for (size_t i = 0; i < size; i++) sum = (sum ^ (unsigned char)text[i]) * 16777619u;
  return sum;
}

/* ------------------------------------------------------------------ time */

static unsigned days_in_month(unsigned year, unsigned month) {
  static const unsigned char kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : kDays[month - 1];
}

/* Days since 0000-03-01, in years that begin in March, so that a leap day is the last of its year. */
static int64_t days_of(unsigned year, unsigned month, unsigned day) {
  const int64_t y = month > 2 ? year : (int64_t)year - 1;
  const int64_t m = month > 2 ? month - 3 : month + 9;
  return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
}

static char *put_date(char *at, int64_t days) {
  const int64_t era = days / 146097, rest = days % 146097; /* 400 years each */
  const int64_t y = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
  const int64_t day_of_year = rest - (365 * y + y / 4 - y / 100);
  const int64_t m = (5 * day_of_year + 2) / 153;
  const int64_t month = m < 10 ? m + 3 : m - 9;
  at = put_digits(at, (uint64_t)(400 * era + y + (month <= 2)), 4);
  *at++ = '-';
  at = put_digits(at, (uint64_t)month, 2);
  *at++ = '-';
  return put_digits(at, (uint64_t)(day_of_year - (153 * m + 2) / 5 + 1), 2);
}

/* Reads a time such as 2024-02-29T13:05:09+02:00, as seconds since 0000-03-01 in UTC. Returns 1 if there is such a time. */
static int read_time(const char *t, size_t size, int64_t *seconds) {
  unsigned year, month, day, hour, minute, second, offset_hours, offset_minutes;
  if (size != TIME_SIZE || t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' || t[16] != ':' || t[22] != ':')
    return 0;
  if (t[19] != '+' && t[19] != '-') return 0;
  if (!read_digits(t, 4, &year) || !read_digits(t + 5, 2, &month) || !read_digits(t + 8, 2, &day) ||
      !read_digits(t + 11, 2, &hour) || !read_digits(t + 14, 2, &minute) || !read_digits(t + 17, 2, &second) ||
      !read_digits(t + 20, 2, &offset_hours) || !read_digits(t + 23, 2, &offset_minutes))
    return 0;
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return 0;
  if (hour > 23 || minute > 59 || second > 59 || offset_hours > 14 || offset_minutes > 59) return 0;
  const int64_t offset = (int64_t)offset_hours * 3600 + offset_minutes * 60;
  *seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - (t[19] == '+' ? offset : -offset);
  return 1;
}

static char *put_time(char *at, int64_t seconds) {
  const uint64_t of_day = (uint64_t)(seconds % 86400);
  at = put_date(at, seconds / 86400);
  *at++ = 'T';
  at = put_digits(at, of_day / 3600, 2);
  *at++ = ':';
  at = put_digits(at, of_day / 60 % 60, 2);
  *at++ = ':';
  at = put_digits(at, of_day % 60, 2);
  *at++ = 'Z';
  return at;
}

/* ------------------------------------------------------------------ converting */

static const struct country *find_country(const column *name) {
  for (int i = 0; i < COUNTRIES; i++)
    if (name->size == 2 && memcmp(name->text, kCountries[i].name, 2) == 0) return &kCountries[i];
  return NULL;
}

static const struct currency *find_currency(const column *name) {
  for (int i = 0; i < CURRENCIES; i++)
    if (name->size == 3 && memcmp(name->text, kCurrencies[i].name, 3) == 0) return &kCurrencies[i];
  return NULL;
}

/* Reads a price such as 19.99, of 0.01 to 99999.99. Returns 1 if it is one. */
static int read_price(const column *from, uint64_t *cents) {
  unsigned whole, part;
  if (from->size < 4 || from->size > 8 || from->text[from->size - 3] != '.') return 0;
  if (!read_digits(from->text, from->size - 3, &whole) || !read_digits(from->text + from->size - 2, 2, &part)) return 0;
  *cents = (uint64_t)whole * 100 + part;
  return *cents > 0;
}

/* Says why a row is invalid, with the column as it was. Returns `fault`. */
static int invalid(char why[ORDER_WHY_SIZE], int fault, const char *what, const column *got) {
  snprintf(why, ORDER_WHY_SIZE, "%s, got %.*s", what, got->size < 40 ? (int)got->size : 40, got->text);
  return fault;
}

int order_convert(char *text, size_t *size, char why[ORDER_WHY_SIZE]) {
  column in[COLUMNS];
  const int count = split(text, *size, in);
  if (count != COLUMNS) {
    snprintf(why, ORDER_WHY_SIZE, "there must be %d columns, got %d", COLUMNS, count);
    return ORDER_COLUMNS;
  }
  const column *order = &in[0], *customer = &in[2], *checksum = &in[7];
  char expected[8];
  put_hex(expected, checksum_of(text, (size_t)(checksum->text - text) - 1));
  if (checksum->size != sizeof expected || memcmp(checksum->text, expected, sizeof expected) != 0)
    return invalid(why, ORDER_CHECKSUM, "the checksum is not that of the row", checksum);

  int64_t seconds;
  if (!read_time(in[1].text, in[1].size, &seconds)) return invalid(why, ORDER_TIME, "ordered_at is no time", &in[1]);
  const struct country *country = find_country(&in[3]);
  if (!country) return invalid(why, ORDER_COUNTRY, "the country is not known", &in[3]);
  unsigned quantity;
  if (in[4].size > 4 || !read_digits(in[4].text, in[4].size, &quantity) || quantity == 0)
    return invalid(why, ORDER_QUANTITY, "quantity must be 1 to 9999", &in[4]);
  uint64_t price_cents;
  if (!read_price(&in[5], &price_cents)) return invalid(why, ORDER_PRICE, "unit_price must be 0.01 to 99999.99", &in[5]);
  const struct currency *currency = find_currency(&in[6]);
  if (!currency) return invalid(why, ORDER_CURRENCY, "the currency is not known", &in[6]);

  const uint64_t net_cents = (quantity * price_cents * currency->rate + 5000) / 10000;
  char row[ORDER_SIZE_MAX + 64], *at = row;
  at = put_text(at, order->text, order->size);
  *at++ = ',';
  at = put_time(at, seconds);
  *at++ = ',';
  at = put_text(at, customer->text, customer->size);
  *at++ = ',';
  at = put_text(at, country->name, 2);
  *at++ = ',';
  at = put_money(at, net_cents);
  *at++ = ',';
  at = put_money(at, (net_cents * country->tax + 500) / 1000);
  *size = (size_t)(at - row);
  memcpy(text, row, *size); /* it fits: the two sums have at most 26 places, and the columns that went had 12 and more */
  return ORDER_VALID;
}

/* ------------------------------------------------------------------ generating */

/* splitmix64 */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* A number below `bound`, from the bits of *random, which are used up. */
static unsigned draw(uint64_t *random, unsigned bound) {
  const unsigned drawn = (unsigned)(*random % bound);
  *random /= bound;
  return drawn;
}

static char *put_random_time(char *at, uint64_t random, int fault) {
  static const char *const kOffsets[] = {"+00:00", "+01:00", "+02:00", "-05:00", "-08:00", "+05:30"};
  at = put_digits(at, 2020 + draw(&random, 6), 4);
  at = put_text(at, fault == ORDER_TIME ? "-02" : "-01", 3);
  if (fault != ORDER_TIME) put_digits(at - 2, 1 + draw(&random, 12), 2);
  *at++ = '-';
  at = put_digits(at, fault == ORDER_TIME ? 30 : 1 + draw(&random, 28), 2);
  *at++ = 'T';
  at = put_digits(at, draw(&random, 24), 2);
  *at++ = ':';
  at = put_digits(at, draw(&random, 60), 2);
  *at++ = ':';
  at = put_digits(at, draw(&random, 60), 2);
  return put_text(at, kOffsets[draw(&random, 6)], 6);
}

size_t order_generate(uint64_t *state, uint64_t number, char *text, int *fault) {
  uint64_t random = next_random(state);
  char *at = text;
  *fault = draw(&random, FAULT_ONE_IN) == 0 ? 1 + (int)draw(&random, ORDER_FAULTS - 1) : ORDER_VALID;
  at = put_number(at, 1000000 + number);
  *at++ = ',';
  at = put_random_time(at, next_random(state), *fault);
  at = put_text(at, ",c-", 3);
  at = put_digits(at, draw(&random, 1000000), 6);
  *at++ = ',';
  at = put_text(at, *fault == ORDER_COUNTRY ? "XX" : kCountries[draw(&random, COUNTRIES)].name, 2);
  *at++ = ',';
  at = put_number(at, *fault == ORDER_QUANTITY ? 0 : 1 + draw(&random, 12));
  *at++ = ',';
  at = put_money(at, 1 + draw(&random, 20000));
  if (*fault == ORDER_PRICE) at[-1] = 'x';
  if (*fault != ORDER_COLUMNS) {
    *at++ = ',';
    at = put_text(at, *fault == ORDER_CURRENCY ? "XBT" : kCurrencies[draw(&random, CURRENCIES)].name, 3);
  }
  const uint32_t sum = checksum_of(text, (size_t)(at - text));
  *at++ = ',';
  at = put_hex(at, *fault == ORDER_CHECKSUM ? ~sum : sum);
  return (size_t)(at - text);
}
