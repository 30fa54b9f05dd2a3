// pa_parse_retry_after: the two forms of an HTTP header.
#include <time.h>

#include "support.h"

// 1994-11-06 08:49:37 GMT, the date of RFC 9110's examples.
#define EXAMPLE INT64_C(784111777)

TEST(a_number_of_seconds) {
  CHECK_EQ(pa_parse_retry_after("0", EXAMPLE), 0);
  CHECK_EQ(pa_parse_retry_after("1", EXAMPLE), SECONDS);
  CHECK_EQ(pa_parse_retry_after("120", EXAMPLE), 120 * SECONDS);
  CHECK_EQ(pa_parse_retry_after("120", -1), 120 * SECONDS);
  CHECK_EQ(pa_parse_retry_after("86400", 0), 86400 * SECONDS);
  CHECK_EQ(pa_parse_retry_after("007", EXAMPLE), 7 * SECONDS);
}

TEST(a_fraction_and_blanks_around_it) {
  CHECK_EQ(pa_parse_retry_after("1.5", 0), 1500 * MILLISECONDS);
  CHECK_EQ(pa_parse_retry_after("0.25", 0), 250 * MILLISECONDS);
  CHECK_EQ(pa_parse_retry_after("  120", 0), 120 * SECONDS);
  CHECK_EQ(pa_parse_retry_after("120\t ", 0), 120 * SECONDS);
  CHECK_EQ(pa_parse_retry_after(" Sun, 06 Nov 1994 08:49:37 GMT ", EXAMPLE - 1), SECONDS);
}

TEST(the_three_forms_of_a_date) {
  const char* const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                               "Sun Nov  6 08:49:37 1994"};
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(pa_parse_retry_after(forms[i], EXAMPLE - 90), 90 * SECONDS);
    CHECK_EQ(pa_parse_retry_after(forms[i], EXAMPLE), 0);
    CHECK_EQ(pa_parse_retry_after(forms[i], EXAMPLE + 1), 0);  // the past
    CHECK_EQ(pa_parse_retry_after(forms[i], EXAMPLE + 10000), 0);
    CHECK_EQ(pa_parse_retry_after(forms[i], 0), EXAMPLE * SECONDS);
  }
}

TEST(dates_of_every_month_and_of_leap_years) {
  CHECK_EQ(pa_parse_retry_after("Thu, 01 Jan 1970 00:00:10 GMT", 0), 10 * SECONDS);
  CHECK_EQ(pa_parse_retry_after("Tue, 29 Feb 2000 12:00:00 GMT", 951825600), 0);
  CHECK_EQ(pa_parse_retry_after("Tue, 29 Feb 2000 12:00:01 GMT", 951825600), SECONDS);
  CHECK_EQ(pa_parse_retry_after("Wed, 01 Mar 2000 00:00:00 GMT", 951825600), 43200 * SECONDS);
  static const char* const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static const char* const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  for (int month = 0; month < 12; month++) {
    struct tm date;
    memset(&date, 0, sizeof date);
    date.tm_year = 130, date.tm_mon = month, date.tm_mday = 15, date.tm_hour = 6;
    const int64_t seconds = (int64_t)timegm(&date);  // fills in the day of the week
    char text[64];
    snprintf(text, sizeof text, "%s, 15 %s 2030 06:00:00 GMT", days[date.tm_wday], months[month]);
    CHECK_EQ(pa_parse_retry_after(text, seconds - 60), 60 * SECONDS);
  }
}

TEST(a_date_is_compared_with_the_systems_clock_when_no_time_is_given) {
  CHECK_EQ(pa_parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", -1), 0);
  const int64_t wait = pa_parse_retry_after("Fri, 01 Jan 2100 00:00:00 GMT", -1);
  const int64_t by_hand = (INT64_C(4102444800) - (int64_t)time(NULL)) * SECONDS;
  CHECK(wait >= by_hand - 5 * SECONDS);
  CHECK_LE(wait, by_hand + 5 * SECONDS);
}

// RFC 9110: a two-digit year that appears to be more than 50 years ahead is one of the past.
TEST(a_year_of_two_digits_is_never_more_than_50_years_ahead) {
  const int64_t in_2026 = 1767225600;
  CHECK_EQ(pa_parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", in_2026), 0);
  CHECK(pa_parse_retry_after("Thursday, 01-Jan-60 00:00:00 GMT", in_2026) > 0);
}

TEST(null_and_malformed_text) {
  const char* const wrong[] = {
      "",
      " ",
      "-1",
      "-0.5",
      "nan",
      "NaN",
      "inf",
      "-inf",
      "infinity",
      "1e999",
      "abc",
      "12abc",
      "1 2",
      "0x10",
      "--5",
      "+",
      ".",
      ",",
      "Sun, 06 Nov 1994 08:49:37 PST",
      "Sun, 06 Nov 1994 08:49 GMT",
      "Sun, 32 Nov 1994 08:49:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT",
      "Thu, 31 Nov 1994 08:49:37 GMT",
      "Wed, 29 Feb 1995 08:49:37 GMT",
      "Sun, 06 Nox 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 25:49:37 GMT",
      "Sun, 06 Nov 1994 08:61:37 GMT",
      "Sun, 06 Nov 1994 08:49:99 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT and more",
      "Sunday, 06-Nov-94",
      "Sun Nov",
      "Sun",
      "06 Nov 1994 08:49:37 GMT",
      "Xyz, 06 Nov 1994 08:49:37 GMT",
  };
  CHECK_EQ(pa_parse_retry_after(NULL, 0), -1);
  CHECK_EQ(pa_parse_retry_after(NULL, -1), -1);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    if (!CHECK_EQ(pa_parse_retry_after(wrong[i], 0), -1)) fprintf(stderr, "  with \"%s\"\n", wrong[i]);
}

TEST(a_number_that_is_too_large_does_not_wrap) {
  const char* const large[] = {"9223372036",
                               "9223372037",
                               "99999999999",
                               "18446744073709551615",
                               "18446744073709551616",
                               "18446744073709551617",
                               "99999999999999999999999999999999999999"};
  CHECK_EQ(pa_parse_retry_after("9000000000", 0), INT64_C(9000000000) * SECONDS);
  for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
    const int64_t wait = pa_parse_retry_after(large[i], 0);
    CHECK(wait == -1 || wait >= INT64_C(9000000000) * SECONDS);
  }
  const int64_t far = pa_parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", 0);
  CHECK(far == -1 || far >= INT64_C(9000000000) * SECONDS);
}

TEST(it_reads_no_further_than_the_text) {
  const char* const whole = "Sunday, 06-Nov-94 08:49:37 GMT";
  for (size_t length = 0; length < strlen(whole); length++) {
    char* part = malloc(length + 1);  // where address sanitizer sees a byte too many
    REQUIRE(part != NULL);
    memcpy(part, whole, length);
    part[length] = 0;
    const int without_zone = length - strlen("Sunday, 06-Nov-94 08:49:37") <= 1;  // with or without a blank behind
    CHECK_EQ(pa_parse_retry_after(part, EXAMPLE), without_zone ? 0 : -1);
    free(part);
  }
}
