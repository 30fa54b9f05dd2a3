// Workers that wait for their next run.
#pragma once
#include <memory>

#include "core/process/child.hpp"

namespace pa::process {

// The one that was kept last, of those of this kind that live. nullptr: there is none.
std::unique_ptr<Child> take_warm(const Kind& kind) noexcept;
// For a child that is idle. It is dismissed when nobody has wanted it for a while.
void keep_warm(std::unique_ptr<Child> child) noexcept;
// For a child that is idle and not wanted any more.
void retire(std::unique_ptr<Child> child) noexcept;
// Ends all of them, and waits for that.
void dismiss_warm() noexcept;

}  // namespace pa::process
