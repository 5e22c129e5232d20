#include "agent/waiting_runs.h"

#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "platform/files.h"

namespace mill::agent {
namespace {

constexpr std::size_t kMostBytes = 32 * 1024 * 1024;
constexpr std::size_t kSum = 64;   // the SHA-256 of the rest, in front

}  // namespace

std::string WaitingRuns::path_of(const protocol::AttemptId& id) const { return folder_ + "/" + to_hex(platform::sha256(id.key())).substr(0, 32); }

Status WaitingRuns::keep(const protocol::AttemptId& id, const Kept& kept)
{
    if (auto made = platform::make_folder(folder_, 0700); !made) return made;
    const std::string text = dump_json(to_json(id).set("after", kept.after).set("snapshot", kept.snapshot));
    return platform::write_file(path_of(id), to_hex(platform::sha256(text)) + text, 0600);
}

Status WaitingRuns::forget(const protocol::AttemptId& id)
{
    const std::string path = path_of(id);
    if (!platform::exists(path)) return {};
    if (auto emptied = platform::write_file(path, "", 0600); !emptied) return emptied;   // synced, which a removal is not
    return platform::remove_tree(path);
}

std::optional<WaitingRuns::Kept> WaitingRuns::find(const protocol::AttemptId& id) const
{
    const std::string path = path_of(id);
    if (!platform::exists(path)) return std::nullopt;
    const auto bytes = platform::read_file(path, kMostBytes);
    if (bytes && bytes->empty()) return std::nullopt;
    if (bytes && bytes->size() > kSum && bytes->substr(0, kSum) == to_hex(platform::sha256(std::string_view(*bytes).substr(kSum)))) {
        auto json = parse_json(std::string_view(*bytes).substr(kSum), {kMostBytes, 128});
        const std::int64_t after = json && (*json)["after"].is_integer() ? (*json)["after"].as_integer() : -1;
        if (after >= 0 && (*json)["job"].as_string() == id.job && (*json)["snapshot"].is_object()) return Kept{static_cast<std::uint64_t>(after), (*json)["snapshot"]};
    }
    log::error("job", "{}: what was kept of the waiting run in {} is damaged", id.key(), path);
    return std::nullopt;
}

}  // namespace mill::agent
