// cli/settings.h -- which factory, with which token: from options, the environment, or the person's configuration file.
#pragma once

#include <functional>
#include <string>

#include "platform/base/json.h"

namespace mill::cli {

struct Settings {
    std::string factory;       ///< URL without a slash at the end; empty when nobody said
    std::string token;         ///< secret
    std::string ca_file;       ///< PEM of a private authority
    std::string factory_from;  ///< where it was said, for messages: "--factory", "MILLWRIGHT_FACTORY", the file
    std::string token_from;
    std::string config_path;
    /// A broken configuration file: reported by the commands that need what it says.
    std::string problem;
};

struct SettingsInput {
    std::string factory{}, token_file{}, ca_file{}, config_path{};  ///< from options; empty when not given
    std::function<std::string(const char*)> environment{};  ///< "" when not set
};

/// An option wins over the environment, which wins over the file. A token belongs to the factory beside it: when the
/// factory comes from elsewhere, the file's token is used only if the file names the same factory.
/// Errors: invalid, not_found, denied (a token file that others can read).
Result<Settings> find_settings(const SettingsInput& input);

/// Errors: invalid (unknown keys, no http(s) URL), denied.
Result<Settings> read_config(const std::string& path);
/// Writes factory, token and authority to `path`, mode 0600.
Status write_config(const std::string& path, const Settings& settings);

std::string default_config_path();
/// Checks and trims a factory's URL. Errors: invalid.
Result<std::string> clean_factory_url(std::string_view url, std::string_view where);

}  // namespace mill::cli
