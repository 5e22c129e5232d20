// platform/linux/cgroup.h -- control groups (v2 or v1) that bound a whole process tree. For platform/ only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/limits.h"
#include "platform/channel.h"

namespace mill::platform {

/// One group per controller hierarchy; removed (and what is left in it killed) when destroyed.
class Cgroup {
public:
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;
    ~Cgroup();
    const std::vector<Handle>& procs() const { return procs_; }  ///< the cgroup.procs files to enter
    void kill_all() const;
    bool out_of_memory() const;          ///< a process was killed at the memory limit
    std::uint64_t peak_memory() const;   ///< bytes, 0 when unknown
    std::uint64_t cpu_ms() const;        ///< of the tree, 0 when unknown

private:
    friend class Cgroups;
    Cgroup() = default;
    std::string memory_, processes_, cpu_;  // folders; equal in v2; empty where there is none
    bool v2_ = false;
    std::vector<Handle> procs_;
};

/// What this process can use, found by making a group and reading its limits back.
class Cgroups {
public:
    /// `root` is where the hierarchies are mounted.
    explicit Cgroups(const std::string& root = "/sys/fs/cgroup");
    const std::string& memory() const { return memory_kind_; }        ///< "cgroup-v2", "cgroup-v1", "rlimit"
    const std::string& processes() const { return processes_kind_; }  ///< "cgroup-v2", "cgroup-v1", "none"

    /// A group with the limits that it can hold, each read back. Errors: unavailable.
    Result<std::unique_ptr<Cgroup>> make(const std::string& name, const Limits& limits) const;

private:
    bool use_v2(const std::string& root);
    void use_v1(const std::string& root);
    void remove_left_over() const;
    std::string memory_base_, processes_base_, cpu_base_;
    std::string memory_kind_ = "rlimit", processes_kind_ = "none";
    bool v2_ = false;
};

}  // namespace mill::platform
