#include "workflows/preview.h"

#include <fmt/format.h>

namespace mill::workflows {
namespace {

struct Cutter {
    const PreviewLimits& limits;
    std::size_t left;
    bool cut = false;

    Json gone(std::string text)
    {
        cut = true;
        return Json(std::move(text));
    }

    Json of(const Json& value, std::size_t depth)
    {
        if (left > 0) --left;
        if (value.is_string() && value.as_string().size() > limits.text) {
            const std::string& whole = value.as_string();
            std::size_t end = limits.text;
            while (end > 0 && (static_cast<unsigned char>(whole[end]) & 0xC0) == 0x80) --end;
            return gone(fmt::format("{}… ({} bytes)", whole.substr(0, end), whole.size()));
        }
        if (value.empty()) return value;
        if (depth == 0 || left == 0) return gone(fmt::format("… {} {}", value.size(), value.is_array() ? "items" : "members"));
        if (value.is_array()) {
            Json out = Json::array();
            for (const Json& item : value.as_array()) {
                if (out.size() >= limits.items || left == 0) return out.push(gone(fmt::format("… {} more", value.size() - out.size())));
                out.push(of(item, depth - 1));
            }
            return out;
        }
        Json out = Json::object();
        for (const auto& [key, member] : value.as_object()) {
            if (out.size() >= limits.members || left == 0) return out.set("…", gone(fmt::format("{} more", value.size() - out.size())));
            out.set(key, of(member, depth - 1));
        }
        return out;
    }
};

}  // namespace

Json preview(const Json& value, const PreviewLimits& limits, bool* cut)
{
    Cutter cutter{limits, limits.total};
    Json out = cutter.of(value, limits.depth);
    if (cut != nullptr) *cut = *cut || cutter.cut;
    return out;
}

}  // namespace mill::workflows
