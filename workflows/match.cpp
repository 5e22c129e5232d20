#include "workflows/match.h"

#include <algorithm>

#include "platform/base/text.h"

namespace mill::workflows {
namespace {

struct Comparison {
    Match how;
    std::size_t most;
    std::vector<Difference> found;

    void add(const std::string& path, std::optional<Json> expected, std::optional<Json> actual)
    {
        if (found.size() < most) found.push_back({path, std::move(expected), std::move(actual)});
    }

    void compare(const Json& expected, const Json& actual, const std::string& path)
    {
        if (found.size() >= most) return;
        if (expected.is_object() && actual.is_object()) {
            for (const auto& [key, value] : expected.as_object()) {
                const std::string inside = path + "/" + escape_pointer(key);
                if (const Json* other = actual.find(key)) compare(value, *other, inside);
                else add(inside, value, std::nullopt);
            }
            if (how == Match::partial) return;
            for (const auto& [key, value] : actual.as_object())
                if (!expected.contains(key)) add(path + "/" + escape_pointer(key), std::nullopt, value);
            return;
        }
        if (expected.is_array() && actual.is_array()) {
            for (std::size_t i = 0; i < std::max(expected.size(), actual.size()); ++i) {
                const std::string inside = path + "/" + std::to_string(i);
                if (i >= actual.size()) add(inside, expected[i], std::nullopt);
                else if (i >= expected.size()) add(inside, std::nullopt, actual[i]);
                else compare(expected[i], actual[i], inside);
            }
            return;
        }
        if (!(expected == actual)) add(path, expected, actual);
    }
};

}  // namespace

std::vector<Difference> differences(const Json& expected, const Json& actual, Match how, std::size_t most)
{
    Comparison comparison{how, most, {}};
    comparison.compare(expected, actual, {});
    return std::move(comparison.found);
}

}  // namespace mill::workflows
