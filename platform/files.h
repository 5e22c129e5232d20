// platform/files.h -- files that must survive or stay secret.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/result.h"
#include "platform/channel.h"

namespace mill::platform {

/// Errors: not_found, denied, too_large, unavailable (I/O).
Result<std::string> read_file(const std::string& path, std::size_t max_bytes);
/// As read_file, and the file must be ours (or root's) and closed to group and others. Errors also: denied (says the mode).
Result<std::string> read_secret_file(const std::string& path, std::size_t max_bytes = 65536);
/// Replaces the file in one step and syncs file and folder: after a crash it is the old or the new one.
Status write_file(const std::string& path, std::string_view bytes, unsigned mode = 0644);
Status make_folder(const std::string& path, unsigned mode = 0755);   ///< with its parents; fine when it is there
Status remove_tree(const std::string& path);
bool exists(const std::string& path);
/// Device and number of what `path` leads to: two names that lead to the same have the same. Empty: nothing is there.
std::string identity_of(const std::string& path);
/// Whether we may read the file (or list the folder), as far as can be said beforehand. Errors: not_found, denied.
Status may_read(const std::string& path);
/// Whether we may write or make the file. Errors: not_found (its folder), denied, conflict (a folder is there).
Status may_write(const std::string& path);
bool is_folder(const std::string& path);
/// Writes what a person named as output: a regular file is replaced in one step; through a link and to a device or pipe it is just written.
Status write_output(const std::string& path, std::string_view bytes);
/// A lock held until the Handle is closed or the process ends. Errors: conflict (another process holds it; says its pid).
Result<Handle> lock_file(const std::string& path);

/// The folder of the running program, and a sibling program in it.
std::string program_folder();
std::string sibling_program(std::string_view name);
std::string home_folder();                       ///< of the user, from the environment or the user database
std::string config_folder();                     ///< $XDG_CONFIG_HOME/millwright or ~/.config/millwright

}  // namespace mill::platform
