// RFC 9110, section 10.2.3: Retry-After = HTTP-date / delay-seconds; section 5.6.7: the three forms of HTTP-date.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "pa/pa.h"

namespace {

constexpr double kMostSeconds = 9.2e9;  // what int64_t nanoseconds can hold

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads a text from left to right; any mismatch makes the whole reading fail.
class Reader {
 public:
  explicit Reader(const char* text) : at_(text) {}

  bool expect(const char* literal) {
    const size_t size = std::strlen(literal);
    if (std::strncmp(at_, literal, size) != 0) return false;
    at_ += size;
    return true;
  }
  bool number(int digits, int& value) {
    value = 0;
    for (int i = 0; i < digits; i++) {
      if (!is_digit(*at_)) return false;
      value = value * 10 + (*at_++ - '0');
    }
    return true;
  }
  bool one_of(const char* const* names, int count, int& which) {
    for (which = 0; which < count; which++)
      if (expect(names[which])) return true;
    return false;
  }
  bool at_end() const { return *at_ == '\0'; }

 private:
  const char* at_;
};

const char* const kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
const char* const kShortDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
const char* const kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Date {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;

  bool exists() const {
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int last = kLengths[month] + (month == 1 && leap);
    return day >= 1 && day <= last && hour <= 23 && minute <= 59 && second <= 60 && year >= 1900;
  }
  // Days since 1970-01-01 of the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
  int64_t unix_seconds() const {
    const int64_t y = month < 2 ? year - 1 : year;
    const int64_t era = y / 400, year_of_era = y % 400;
    const int64_t day_of_year = (153 * ((month + 10) % 12) + 2) / 5 + day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (era * 146097 + day_of_era - 719468) * 86400 + hour * 3600 + minute * 60 + second;
  }
};

bool time_of_day(Reader& in, Date& date) {
  return in.number(2, date.hour) && in.expect(":") && in.number(2, date.minute) && in.expect(":") &&
         in.number(2, date.second);
}

// Sun, 06 Nov 1994 08:49:37 GMT
bool imf_fixdate(Reader in, Date& date) {
  int weekday;
  return in.one_of(kShortDays, 7, weekday) && in.expect(", ") && in.number(2, date.day) && in.expect(" ") &&
         in.one_of(kMonths, 12, date.month) && in.expect(" ") && in.number(4, date.year) && in.expect(" ") &&
         time_of_day(in, date) && (in.at_end() || (in.expect(" GMT") && in.at_end()));
}

// Sunday, 06-Nov-94 08:49:37 GMT; a year that seems more than 50 years ahead is one of the past century.
bool rfc850_date(Reader in, Date& date, int64_t now) {
  int weekday;
  const bool ok = in.one_of(kDays, 7, weekday) && in.expect(", ") && in.number(2, date.day) && in.expect("-") &&
                  in.one_of(kMonths, 12, date.month) && in.expect("-") && in.number(2, date.year) && in.expect(" ") &&
                  time_of_day(in, date) && (in.at_end() || (in.expect(" GMT") && in.at_end()));
  const int this_year = 1970 + static_cast<int>(now / 31556952);
  date.year += this_year - this_year % 100;
  if (date.year > this_year + 50) date.year -= 100;
  return ok;
}

// Sun Nov  6 08:49:37 1994
bool asctime_date(Reader in, Date& date) {
  int weekday;
  if (!in.one_of(kShortDays, 7, weekday) || !in.expect(" ") || !in.one_of(kMonths, 12, date.month) || !in.expect(" "))
    return false;
  const bool day = in.expect(" ") ? in.number(1, date.day) : in.number(2, date.day);
  return day && in.expect(" ") && time_of_day(in, date) && in.expect(" ") && in.number(4, date.year) && in.at_end();
}

}  // namespace

int64_t pa_parse_retry_after(const char* text, int64_t now_unix_s) {
  if (!text) return -1;
  while (is_blank(*text)) text++;
  size_t size = std::strlen(text);
  while (size && is_blank(text[size - 1])) size--;
  char value[64];
  if (size == 0 || size >= sizeof value) return -1;
  std::memcpy(value, text, size);
  value[size] = '\0';

  if (is_digit(value[0])) {
    // Whole seconds by the standard; some servers send a fraction.
    double seconds = 0, place = 1;
    size_t i = 0;
    for (; is_digit(value[i]); i++) seconds = seconds * 10 + (value[i] - '0');
    if (value[i] == '.' && is_digit(value[i + 1]))
      for (i++; is_digit(value[i]); i++) seconds += (value[i] - '0') * (place /= 10);
    if (value[i] != '\0' || seconds > kMostSeconds) return -1;
    return static_cast<int64_t>(std::llround(seconds * 1e9));
  }
  const int64_t now = now_unix_s >= 0 ? now_unix_s : static_cast<int64_t>(std::time(nullptr));
  Date date;
  const Reader in(value);
  if (!imf_fixdate(in, date) && !rfc850_date(in, date = {}, now) && !asctime_date(in, date = {})) return -1;
  if (!date.exists()) return -1;
  const int64_t wait = date.unix_seconds() - now;
  if (wait <= 0) return 0;
  return wait > static_cast<int64_t>(kMostSeconds) ? -1 : wait * 1'000'000'000;
}
