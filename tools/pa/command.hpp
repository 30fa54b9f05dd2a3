// The function behind `pa map -- COMMAND`: runs a command for an item, as xargs and GNU parallel do.
#pragma once
#include <pa/pa.h>

#include <string>
#include <vector>

namespace cli {

struct Command {
  std::vector<std::string> words;  // {} stands for the item; without one, the item is the last word
};

// ctx: a Command; item: a string. The value is what the command wrote to its standard output, a pa_bytes. It fails with the
// command's exit status, or 128 and the signal, as a shell has it. A command that has to end is sent SIGTERM, and SIGKILL after a
// second.
int32_t run_command(void* ctx, void* item, void** value, pa_call* call);

}  // namespace cli
