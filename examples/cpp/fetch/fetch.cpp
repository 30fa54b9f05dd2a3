// fetch: gets many pages over HTTP, in parallel and politely, with cpp-httplib and pa.hpp. The C++ twin of examples/c/fetch.
//
//     fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT
//
// URLS is a file with one address on each line. REPORT gets one line for each address, in the same order, with these
// fields between tabs: state, attempts, how many of them were answered 429, SHA-256 of the body, address, why it failed.
//
// What to look at: fetch_page, which pa::map calls for each address, and fetch_all, which has the options.
//
// Exit status: 0 all pages are there, 1 some are not, 2 it could not begin, 130 stopped by Ctrl-C.
#include <httplib.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <pa/pa.hpp>
#include <sstream>
#include <string>
#include <vector>

extern "C" {
#include "common/progress.h"
}

using namespace std::chrono_literals;

namespace {

struct Settings {
  std::uint32_t workers = 8;
  std::uint32_t attempts = 5;
  double requests_per_second = 10;
};

struct Address {
  std::string url;
  std::string host, path;     // what comes before the path, and the path
  std::uint32_t refused = 0;  // attempts that were answered 429; one attempt at an address runs at a time, so no lock
};

struct Page {
  std::uint64_t size_bytes;
  std::string sha256;
};

// ------------------------------------------------------------------ one page

std::string sha256(const std::string& body) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (!EVP_Digest(body.data(), body.size(), digest, &size, EVP_sha256(), nullptr)) throw std::runtime_error("no SHA-256");
  std::ostringstream hex;
  for (unsigned int i = 0; i < size; i++) hex << std::hex << std::setw(2) << std::setfill('0') << int{digest[i]};
  return hex.str();
}

// Each worker keeps its connection open between requests.
httplib::Client& client_of(const std::string& host) {
  thread_local std::string connected_to;
  thread_local std::unique_ptr<httplib::Client> client;
  if (!client || connected_to != host) {
    client = std::make_unique<httplib::Client>(host);
    client->set_keep_alive(true);
    client->set_read_timeout(30s);
    connected_to = host;
  }
  return *client;
}

// The request failed; it may be tried again.
struct NoAnswer : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Page fetch_page(Address& from, pa::call& call) {
  const auto go_on = [&](std::uint64_t, std::uint64_t) { return !call.stopped(); };  // asked while the body comes in
  const httplib::Result answer = client_of(from.host).Get(from.path, go_on);
  if (answer.error() == httplib::Error::Canceled) throw pa::failure(PA_CODE_STOPPED, "stopped");  // not done
  if (!answer) throw NoAnswer(httplib::to_string(answer.error()));
  if (answer->status == 200) return {answer->body.size(), sha256(answer->body)};
  if (answer->status == 429) from.refused++;
  // Pauses all workers, if there is such a header.
  call.retry_after(pa::parse_retry_after(answer->get_header_value("Retry-After").c_str()));
  throw pa::failure(answer->status, "the server answered " + std::to_string(answer->status));
}

// An address that is wrong stays wrong, a server that is busy may have time later.
bool worth_retrying(const pa::item& failed) {
  const int code = failed.code();
  return failed.state() == pa::item_state::timed_out || failed.threw<NoAnswer>() || code == 429 ||
         (code >= 502 && code <= 504);
}

// ------------------------------------------------------------------ all pages

const pa::stop stop_token;  // where a signal handler can reach it

pa::result<Page> fetch_all(std::vector<Address>& addresses, const Settings& how) {
  progress bar;
  progress_begin(&bar, "pages", 1);
  const auto shown = std::unique_ptr<progress, void (*)(progress*)>(&bar, progress_end);
  return pa::map(addresses, fetch_page,
                 {.workers = how.workers,
                  .limiter = pa::limiter({.count = how.requests_per_second}),  // any number of runs could share it
                  .retry = {.attempts = how.attempts, .backoff = 200ms, .retry_if = worth_retrying},
                  .item_timeout = 30s,
                  .stop = stop_token,
                  .on_progress = [&](std::uint64_t done, std::uint64_t total) { progress_show(&bar, done, total); }});
}

// ------------------------------------------------------------------ what became of them

std::string name_of(pa::item_state state) {
  switch (state) {
    case pa::item_state::ok:
      return "ok";
    case pa::item_state::failed:
      return "failed";
    case pa::item_state::timed_out:
      return "timed out";
    case pa::item_state::aborted:
      return "aborted";
    case pa::item_state::cancelled:
      return "cancelled";
    default:
      return "unknown";
  }
}

// Returns the exit status.
int report_all(const pa::result<Page>& result, const std::vector<Address>& addresses, const std::string& path) {
  std::ofstream report(path);
  std::uint64_t attempts = 0, refused = 0;
  for (const auto page : result) {
    const Address& from = addresses[page.index()];
    report << name_of(page.state()) << '\t' << page.attempts() << '\t' << from.refused << '\t'
           << (page.ok() ? page.value().sha256 : "-") << '\t' << from.url << '\t' << page.message() << '\n';
    attempts += page.attempts();
    refused += from.refused;
  }
  std::cout << result.size() << " pages: " << result.size() - result.failed() << " fetched, " << result.failed()
            << " failed or not done; " << attempts << " attempts, of which " << refused << " were answered 429\n";
  for (const auto& failed : result.failures())
    if (failed.state() == pa::item_state::failed)
      std::cerr << "fetch: " << addresses[failed.index()].url << ": " << failed.message() << '\n';
  if (!report.flush()) throw std::runtime_error(path + " could not be written");
  if (result.ended() == pa::ending::cancelled) return 130;
  return result.ok() ? 0 : 1;
}

std::vector<Address> read_addresses(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " could not be read");
  std::vector<Address> addresses;
  for (std::string url; std::getline(file, url);) {
    if (url.empty()) continue;
    const std::size_t slash = url.find('/', url.find("://") + 3);
    addresses.push_back({url, url.substr(0, slash), slash == std::string::npos ? "/" : url.substr(slash)});
  }
  return addresses;
}

}  // namespace

int main(int argc, char** argv) try {
  Settings how;
  for (int option; (option = getopt(argc, argv, "w:r:a:")) != -1;) {
    if (option == 'w')
      how.workers = static_cast<std::uint32_t>(std::stoul(optarg));
    else if (option == 'r')
      how.requests_per_second = std::stod(optarg);
    else if (option == 'a')
      how.attempts = static_cast<std::uint32_t>(std::stoul(optarg));
    else
      argc = 0;
  }
  if (argc - optind != 2) {
    std::cerr << "usage: fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT\n";
    return 2;
  }
  for (int number : {SIGINT, SIGTERM}) std::signal(number, [](int) { stop_token.request(); });

  auto addresses = read_addresses(argv[optind]);
  const auto result = fetch_all(addresses, how);
  return report_all(result, addresses, argv[optind + 1]);
} catch (const std::exception& why) {
  std::cerr << "fetch: " << why.what() << '\n';
  return 2;
}
