#include "workflows/schema_weight.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

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

/// What "#/a/b~1c" names; null when there is no such thing.
const Json* named_by(const Json& root, std::string_view reference)
{
    if (!reference.starts_with('#')) return nullptr;
    const Json* here = &root;
    for (reference.remove_prefix(1); !reference.empty();) {
        if (reference[0] != '/') return nullptr;
        reference.remove_prefix(1);
        const std::string_view token = reference.substr(0, reference.find('/'));
        reference.remove_prefix(token.size());
        if (token.empty() || token.find('%') != std::string_view::npos) return nullptr;   // rare, and read differently by others
        std::string key;
        for (std::size_t i = 0; i < token.size(); ++i) {
            if (token[i] == '~' && i + 1 < token.size()) key += token[++i] == '0' ? '~' : '/';
            else key += token[i];
        }
        if (here->is_array()) {
            std::size_t index = 0;
            const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
            if (error != std::errc() || end != key.data() + key.size() || index >= here->size()) return nullptr;
            here = &(*here)[index];
        } else if (here = here->find(key); here == nullptr) {
            return nullptr;
        }
    }
    return here;
}

class Scale {
public:
    explicit Scale(const Json& root) : root_(root) {}
    SchemaWeight total;

    /// False when no bound is known. `is_schema`: else an object whose members are schemas.
    bool add(const Json& node, bool is_schema, int depth)
    {
        static constexpr std::array<std::string_view, 3> kRegular = {"pattern", "patternProperties", "format"};
        static constexpr std::array<std::string_view, 4> kMaps = {"properties", "definitions", "$defs", "dependencies"};
        static constexpr std::array<std::string_view, 4> kData = {"const", "enum", "default", "examples"};
        if (++total.nodes > kMostNodes || depth > kDeepest) return false;
        for (const Json& item : node.as_array())
            if (!add(item, is_schema, depth + 1)) return false;
        for (const auto& [key, value] : node.as_object()) {
            if (is_schema && is_one_of(key, kRegular)) return false;
            if (is_schema && key == "uniqueItems" && !(value == Json(false))) ++total.pairwise;
            if (is_schema && key == "id" && value.is_string()) return false;   // what references are relative to, read by a regular expression
            if (key == "$ref" && value.is_string()) {
                const Json* target = named_by(root_, value.as_string());
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
