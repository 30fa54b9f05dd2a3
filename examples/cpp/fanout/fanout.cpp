// Many requests to a service that has a quota and bad days: a rate limit, retries of what may pass, the service's own
// Retry-After, and one outcome for each request. The service is a class in this program, so that nothing but a compiler is
// needed; it counts its calls, and the program exits with 1 unless the outcomes are what the service has answered.
#include <pa/pa.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

using namespace std::chrono_literals;

// ------------------------------------------------------------------ the service

struct Reply {
  int status = 200;
  std::string body;
  std::string retry_after;  // the header; empty: none
};

// 400 calls a second, 32 at once; one page in 30 is gone, one in 10 fails at first, and once it asks for a pause.
class Service {
 public:
  Reply get(int page) {
    const std::lock_guard lock(mutex_);
    calls_++;
    const bool first = calls_of_[page]++ == 0;
    if (!quota_left()) {
      refused_++;
      return {429, "", "1"};
    }
    if (calls_ == 50) return {503, "", "1"};
    if (page % 30 == 7) return {404, "", ""};
    if (page % 10 == 3 && first) return {503, "", ""};
    return {200, "page " + std::to_string(page), ""};
  }

  std::uint64_t calls() const { return calls_; }
  std::uint64_t refused() const { return refused_; }
  std::uint64_t calls_of(int page) { return calls_of_[page]; }

 private:
  bool quota_left() {
    const auto now = std::chrono::steady_clock::now();
    tokens_ = std::min(32.0, tokens_ + 400 * std::chrono::duration<double>(now - last_).count());
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

  std::mutex mutex_;
  std::map<int, std::uint64_t> calls_of_;
  std::uint64_t calls_ = 0;
  std::uint64_t refused_ = 0;
  double tokens_ = 32;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// ------------------------------------------------------------------ the client

int main() {
  std::vector<int> pages(240);
  std::iota(pages.begin(), pages.end(), 0);
  Service service;

  const auto fetch = [&](int page, pa::call& call) {
    Reply reply = service.get(page);
    if (reply.status == 200) return std::move(reply.body);
    call.retry_after(pa::parse_retry_after(reply.retry_after.c_str()));  // pauses all workers, if there is such a header
    throw pa::failure(reply.status, "the service answered " + std::to_string(reply.status));
  };
  const auto may_pass = [](const pa::item& failed) { return failed.code() == 429 || failed.code() == 503; };

  const auto results = pa::map(pages, fetch,
                               {.workers = 16,
                                .rate = {.count = 300, .burst = 16},
                                .retry = {.attempts = 6, .backoff = 10ms, .retry_if = may_pass},
                                .timeout = 1min});

  struct Row {
    std::uint64_t items = 0, attempts = 0;
  };
  std::map<std::string, Row> table;
  bool as_expected = results.size() == pages.size();
  std::uint64_t attempts = 0;
  for (const auto result : results) {
    const int page = pages[result.index()];
    Row& row = table[result.ok() ? "ok" : std::string(result.message())];
    row.items++;
    row.attempts += result.attempts();
    attempts += result.attempts();
    as_expected &= page % 30 == 7 ? result.code() == 404 : result.ok() && result.value() == "page " + std::to_string(page);
    as_expected &= result.attempts() == service.calls_of(page);
  }
  as_expected &= attempts == service.calls();

  std::cout << std::left << std::setw(28) << "outcome" << std::right << std::setw(8) << "items" << std::setw(10)
            << "attempts\n";
  for (const auto& [outcome, row] : table)
    std::cout << std::left << std::setw(28) << outcome << std::right << std::setw(8) << row.items << std::setw(9)
              << row.attempts << '\n';
  std::cout << "the service counted " << service.calls() << " calls, and refused " << service.refused() << " of them\n";
  if (!as_expected) std::cerr << "fanout: the outcomes are not what the service answered\n";
  return as_expected ? 0 : 1;
}
