// platform/orphan.h -- sandboxes whose starter dies in the very moment in which they begin.
#pragma once

#include <cstddef>
#include <string>

namespace mill::platform {

// Bubblewrap's inner half asks the kernel to die with its outer half (--die-with-parent) a moment after it was born. When the starter, and with
// it the outer half, is killed before that, nobody ends the inner one: it waits for the outer one's word for ever, or has it and goes on. The inner
// half begins the program a moment before it asks, too: so a program may run whose starter was there when it looked, and which nobody ends.

/// How a program in a sandbox is told to look whether its starter lives: `--life DESCRIPTOR` (SandboxSpec::lifeline).
constexpr const char* kLifeOption = "--life";

/// `said` is the option's word; to be called before anything from outside is read. False: the starter is dead, and the program must end. Keeps
/// the descriptor: from here on the kernel ends the program (SIGKILL) when the starter ends or gives its Sandbox up, whatever bubblewrap did.
bool starter_lives(const std::string& said);

/// Ends those that a starter of before left behind: inner halves of bubblewrap without an outer one. Returns how many. To be called when a program
/// that starts sandboxes begins, and once more a little later, for those that were just being left: until then they do nothing and hold nothing
/// of a job.
std::size_t end_orphans();

}  // namespace mill::platform
