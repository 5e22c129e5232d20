#include "workflows/schema_weight.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "workflows/pointer.h"

namespace mill::workflows {
namespace {

constexpr std::size_t kMostNodes = 10'000;
constexpr int kDeepest = 100;
constexpr std::size_t kTextPiece = 256;

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words)
{
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::size_t weight(const Json& value)
{
    if (value.is_string()) return 1 + value.as_string().size() / kTextPiece;
    std::size_t out = 1;
    for (const Json& item : value.as_array()) out += weight(item);
    for (const auto& [key, member] : value.as_object()) out += weight(member) + key.size() / kTextPiece;
    return out;
}

class Scale {
public:
    explicit Scale(const Json& root) : root_(root) {}
    SchemaWeight total;

    /// False when no bound is known. `is_schema`: else an object whose members are schemas.
    bool add(const Json& node, bool is_schema, int depth)
    {
        static constexpr std::array<std::string_view, 2> kRegular = {"pattern", "patternProperties"};
        static constexpr std::array<std::string_view, 4> kMaps = {"properties", "definitions", "$defs", "dependencies"};
        static constexpr std::array<std::string_view, 4> kData = {"const", "enum", "default", "examples"};
        if (++total.nodes > kMostNodes || depth > kDeepest) return false;
        for (const Json& item : node.as_array())
            if (!add(item, is_schema, depth + 1)) return false;
        for (const auto& [key, value] : node.as_object()) {
            if (is_schema && is_one_of(key, kRegular)) return false;
            if (is_schema && key == "uniqueItems" && !(value == Json(false))) ++total.pairwise;
            if (key == "$ref" && value.is_string()) {
                const Json* target = referred_by(root_, value.as_string());
                if (target == nullptr || !add(*target, true, depth + 1)) return false;
            } else if (is_schema && is_one_of(key, kData)) {
                if (total.nodes += weight(value); total.nodes > kMostNodes) return false;
            } else if (!add(value, !is_schema || !is_one_of(key, kMaps), depth + 1)) {
                return false;
            }
        }
        return true;
    }

private:
    const Json& root_;
};

}  // namespace

std::optional<SchemaWeight> weigh_schema(const Json& document)
{
    Scale scale(document);
    if (!scale.add(document, true, 0)) return std::nullopt;
    return scale.total;
}

std::size_t steps_of(const SchemaWeight& schema, const Json& value)
{
    const std::size_t size = weight(value);
    return size * (schema.nodes + schema.pairwise * size);
}

}  // namespace mill::workflows
