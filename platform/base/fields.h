// platform/base/fields.h -- reads the members of a JSON object and reports every mistake at once.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace mill {

/// Usage: `Fields f(json, "notifier 'x'"); out.name = f.text("name"); out.on = f.texts("on"); if (auto ok = f.done(); !ok) …`
/// A reader of a missing or wrong member returns an empty value and remembers the mistake. Members that nobody read are
/// mistakes too, unless `ignore_unknown()` was said (the agents' wire; people's files and the public API stay strict).
class Fields {
public:
    Fields(const Json& object, std::string where);

    bool has(std::string_view key) const { return object_.contains(key); }
    // Required.
    std::string text(std::string_view key);
    std::int64_t integer(std::string_view key, std::int64_t min, std::int64_t max);
    bool boolean(std::string_view key);
    Json any(std::string_view key);
    Json object(std::string_view key);
    Json array(std::string_view key);
    std::string one_of(std::string_view key, std::initializer_list<std::string_view> allowed);
    // Optional, with what holds when absent (null counts as absent).
    std::string text(std::string_view key, std::string_view fallback);
    std::int64_t integer(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t fallback);
    bool boolean(std::string_view key, bool fallback);
    Json any(std::string_view key, Json fallback);
    Json object(std::string_view key, Json fallback);
    Json array(std::string_view key, Json fallback);
    std::string one_of(std::string_view key, std::initializer_list<std::string_view> allowed, std::string_view fallback);
    std::vector<std::string> texts(std::string_view key);  ///< a list of strings, or one string; absent is empty

    void mistake(std::string_view key, std::string_view what);  ///< the reader's own findings
    void ignore_unknown() { strict_ = false; }
    const std::string& where() const { return where_; }

    /// Errors: invalid, all mistakes joined by "; ".
    Status done();

private:
    const Json* take(std::string_view key, bool required);
    Json object_;
    std::string where_;
    std::set<std::string, std::less<>> seen_;
    std::vector<std::string> mistakes_;
    bool strict_ = true;
};

}  // namespace mill
