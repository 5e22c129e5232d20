#include "agent/runner/folder_copy.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/files.h"

namespace mill::runner {

namespace fs = std::filesystem;

Result<Json> copy_folder(const std::string& folder)
{
    Json out = Json::array();
    std::size_t bytes = 0;
    std::error_code error;
    fs::recursive_directory_iterator at(folder, error), end;
    for (; !error && at != end; at.increment(error)) {
        const fs::file_status status = at->symlink_status(error);
        if (error) break;
        const std::string path = at->path().lexically_relative(folder).generic_string();
        if (out.size() >= kMostFolderFiles) return fail(Errc::too_large, fmt::format("its folder holds more than {} files", kMostFolderFiles));
        Json entry = Json::object({{"path", path}, {"mode", static_cast<int>(status.permissions()) & 0777}});
        if (fs::is_regular_file(status)) {
            bytes += at->file_size(error);
            if (error) break;
            if (bytes > kMostFolderBytes) return fail(Errc::too_large, fmt::format("its folder holds more than {}", format_bytes(ByteCount{kMostFolderBytes})));
            const auto content = platform::read_file(at->path().string(), kMostFolderBytes);
            if (!content) return fail(content.error());
            entry.set("content", to_base64(*content));
        } else if (!fs::is_directory(status)) {
            return fail(Errc::invalid, fmt::format("'{}' in its folder is neither a file nor a folder", path));
        }
        out.push(std::move(entry));
    }
    if (error) return fail(Errc::unavailable, fmt::format("its folder cannot be read: {}", error.message()));
    return out;
}

Status put_folder(const Json& copy, const std::string& folder)
{
    std::error_code error;
    for (const Json& each : copy.as_array()) {
        const fs::path path(each["path"].as_string());
        if (path.empty() || path.is_absolute() || path.lexically_normal() != path || *path.begin() == "..") return fail(Errc::corrupt, fmt::format("'{}' is no path in the job's folder", path.string()));
        const fs::path target = fs::path(folder) / path;
        fs::create_directories(each.contains("content") ? target.parent_path() : target, error);
        if (error) return fail(Errc::unavailable, fmt::format("{}: {}", path.string(), error.message()));
        if (!each.contains("content")) continue;
        const auto content = from_base64(each["content"].as_string());
        if (!content) return fail(Errc::corrupt, fmt::format("{} is not in base64", path.string()));
        std::ofstream file(target, std::ios::binary | std::ios::trunc);
        file << *content;
        file.close();
        if (!file) return fail(Errc::unavailable, fmt::format("{} cannot be written", path.string()));
        fs::permissions(target, static_cast<fs::perms>(each["mode"].as_integer() & 0777), error);
    }
    return {};
}

}  // namespace mill::runner
