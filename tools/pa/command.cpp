#include "command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

extern char** environ;

namespace cli {
namespace {

constexpr int kGlance = 50;  // milliseconds between two looks at whether the call has to end
constexpr std::chrono::seconds kUntilKilled{1};

std::vector<std::string> words_for(const Command& command, const std::string& item) {
  std::vector<std::string> words = command.words;
  bool used = false;
  for (std::string& word : words)
    for (size_t at = word.find("{}"); at != std::string::npos; at = word.find("{}", at + item.size())) {
      word.replace(at, 2, item);
      used = true;
    }
  if (!used) words.push_back(item);
  return words;
}

// Starts the command with its output in a pipe, of which `output` is our end. Returns errno.
int start(const std::vector<std::string>& words, pid_t& process, int& output) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  // Threads of libpa block all signals. A group of its own: Ctrl-C is for this program, which ends the command if need be.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int error = posix_spawnp(&process, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  output = ends[0];
  if (error) close(output);
  return error;
}

// Reads until the end of the output, or until nobody waits for it any more. Sends signals when the call has to end.
class Reading {
 public:
  Reading(pid_t process, int output, pa_call* call) : process_(process), output_(output), call_(call) {}
  std::string text;

  void until_the_end() {
    for (pollfd end{output_, POLLIN, 0};;) {
      const int ready = poll(&end, 1, kGlance);
      look_after();
      if (ready <= 0) continue;
      char part[65536];
      const ssize_t size = read(output_, part, sizeof part);
      if (size > 0) text.append(part, static_cast<size_t>(size));
      if (size == 0 || (size < 0 && errno != EINTR)) return;
    }
  }
  int exit_status() {
    int status = 0;
    for (;;) {
      const pid_t ended = waitpid(process_, &status, told_to_end_ ? WNOHANG : 0);
      if (ended == process_ || (ended < 0 && errno != EINTR)) break;
      look_after();
      if (ended == 0) poll(nullptr, 0, kGlance);
    }
    return status;
  }

 private:
  void look_after() {
    if (!told_to_end_ && pa_call_stopped(call_)) {
      told_to_end_ = true;
      told_at_ = std::chrono::steady_clock::now();
      kill(-process_, SIGTERM);
    } else if (told_to_end_ && std::chrono::steady_clock::now() - told_at_ > kUntilKilled) {
      kill(-process_, SIGKILL);
    }
  }

  const pid_t process_;
  const int output_;
  pa_call* const call_;
  bool told_to_end_ = false;
  std::chrono::steady_clock::time_point told_at_;
};

}  // namespace

int32_t run_command(void* ctx, void* item, void** value, pa_call* call) {
  const std::vector<std::string> words = words_for(*static_cast<const Command*>(ctx), static_cast<const char*>(item));
  pid_t process = -1;
  int output = -1;
  if (const int error = start(words, process, output)) {
    const std::string message = words[0] + ": " + std::strerror(error);
    return pa_call_fail(call, error == ENOENT ? 127 : 126, message.c_str());
  }
  Reading reading(process, output, call);
  reading.until_the_end();
  const int status = reading.exit_status();
  close(output);
  if (status != 0 && pa_call_stopped(call)) return pa_call_fail(call, PA_CODE_STOPPED, "was told to end");
  if (WIFSIGNALED(status)) {
    const std::string message = "killed by signal " + std::to_string(WTERMSIG(status));
    return pa_call_fail(call, 128 + WTERMSIG(status), message.c_str());
  }
  if (const int code = WEXITSTATUS(status)) {
    const std::string message = "exited with status " + std::to_string(code);
    return pa_call_fail(call, code, message.c_str());
  }
  *value = pa_bytes_new(reading.text.data(), reading.text.size());
  return *value ? 0 : pa_call_fail(call, ENOMEM, "no memory");
}

}  // namespace cli
