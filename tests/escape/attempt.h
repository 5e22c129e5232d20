// tests/escape/attempt.h -- one hostile act: tried in the real sandbox, and where it is known to succeed. See README.md.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "platform/process.h"
#include "platform/sandbox.h"

namespace mill::escape {

using Words = std::vector<std::string>;  ///< a verb of the payload and its arguments

/// What a control takes away from what the sandbox is made of.
enum class Part { filter, capabilities, user_namespaces, network, ipc, host_name, session };

/// The payload as a program of a sandbox, with small limits; commands stay possible, so that only the outer filter holds.
platform::SandboxSpec payload(Words words);
platform::SandboxSpec shell(const std::string& script, bool commands = true);

/// To its end, 20 s at most. `out` is without the last line's end.
platform::Captured run_inside(const platform::SandboxSpec& spec, std::size_t max_output = 1024 * 1024);
platform::Captured inside(Words words);

/// By bubblewrap with the same words but those of `parts`; no limits hold here. For harmless acts only.
platform::Captured without(const std::set<Part>& parts, const platform::SandboxSpec& spec);

/// By nothing at all: a plain child of ours with all that it inherits, as the user that sandboxes have.
platform::Captured outside(const Words& words);

/// One row of a table. What is seen may be several, parted by '|'; a final '*' stands for any rest.
struct Attempt {
    std::string name;
    Words words;
    std::string seen_inside;
    std::set<Part> off;          ///< the control: without these parts; outside when empty
    std::string seen_in_control;
    std::string absent = {};     ///< seen in the control where the machine has no such thing: the row is skipped, and says so
};
void check(const std::vector<Attempt>& attempts);
bool matches(const std::string& seen, const std::string& expected);

/// True, and said, when no sandbox can be started here.
bool no_sandbox_here();
/// True, and said, when this machine cannot bound a tree.
bool no_group_here();
void skip(const std::string& why);

/// Whom the payload runs as, inside and outside.
platform::User runs_as();

/// A folder outside that everybody can enter and that everybody's program may stand in.
class Folder {
public:
    Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder();
    const std::string& path() const { return path_; }
    std::string put(const std::string& name, const std::string& text, unsigned mode = 0644) const;  ///< its path

private:
    std::string path_;
};

/// A sandbox that runs until told otherwise. Its output's end is ours: when it ends, nobody in the sandbox is left.
class Running {
public:
    explicit Running(platform::SandboxSpec spec);
    std::string line(std::size_t size = 3);           ///< the first bytes: it is up
    bool all_gone(std::chrono::milliseconds limit);   ///< nobody holds the output any more
    std::unique_ptr<platform::Sandbox> sandbox;

private:
    platform::Handle out_;
};

}  // namespace mill::escape
