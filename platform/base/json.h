// platform/base/json.h -- our JSON value: exact 64-bit integers, members in the order written, cheap to copy.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "platform/base/result.h"

namespace mill {

/// A JSON value (RFC 8259). Arrays and objects are shared between copies and copied when one of them changes, so passing
/// a value on costs one reference count. A value may be read by several threads; it is changed by one.
class Json {
public:
    enum class Kind { null, boolean, integer, number, string, array, object };
    class Object;
    using Array = std::vector<Json>;
    using Member = std::pair<std::string, Json>;

    Json() = default;
    Json(std::nullptr_t) {}
    Json(bool value) : value_(value) {}
    Json(int value) : value_(static_cast<std::int64_t>(value)) {}
    Json(unsigned value) : value_(static_cast<std::int64_t>(value)) {}
    Json(long value) : value_(static_cast<std::int64_t>(value)) {}
    Json(long long value) : value_(static_cast<std::int64_t>(value)) {}
    Json(unsigned long value);       ///< above 2^63-1 it becomes a number (double)
    Json(unsigned long long value);  ///< above 2^63-1 it becomes a number (double)
    Json(double value) : value_(value) {}
    Json(std::string value) : value_(std::move(value)) {}
    Json(std::string_view value) : value_(std::string(value)) {}
    Json(const char* value) : value_(std::string(value)) {}
    Json(Array value);
    Json(Object value);
    template <class T> Json(const std::optional<T>& value) { if (value) *this = Json(*value); }
    template <class T> Json(const T*) = delete;  // else a pointer would become a boolean

    static Json array(std::initializer_list<Json> items = {});
    static Json object(std::initializer_list<Member> members = {});

    Kind kind() const { return static_cast<Kind>(value_.index()); }
    std::string_view kind_name() const;  ///< "null", "boolean", "number", "string", "array", "object" (integers are numbers)
    bool is_null() const { return kind() == Kind::null; }
    bool is_bool() const { return kind() == Kind::boolean; }
    bool is_integer() const { return kind() == Kind::integer; }
    bool is_number() const { return kind() == Kind::integer || kind() == Kind::number; }
    bool is_string() const { return kind() == Kind::string; }
    bool is_array() const { return kind() == Kind::array; }
    bool is_object() const { return kind() == Kind::object; }

    /// Asking for a kind that it is not gives an empty value: false, 0, "", an empty array or object.
    bool as_bool() const;
    std::int64_t as_integer() const;  ///< a number without fraction in range is converted
    double as_number() const;
    const std::string& as_string() const;
    const Array& as_array() const;
    const Object& as_object() const;

    /// The member or item; null (a reference to a constant) when there is none.
    const Json& operator[](std::string_view key) const;
    const Json& operator[](const char* key) const { return (*this)[std::string_view(key)]; }
    const Json& operator[](std::size_t index) const;
    const Json* find(std::string_view key) const;  ///< nullptr when it is no object or has no such member
    bool contains(std::string_view key) const { return find(key) != nullptr; }
    std::size_t size() const;  ///< of an array or object, else 0
    bool empty() const { return size() == 0; }

    /// Changing: null becomes an array or object first; any other kind is replaced.
    Json& set(std::string_view key, Json value);  ///< returns *this
    Json& push(Json value);                       ///< returns *this
    bool erase(std::string_view key);
    Array& mutable_array();
    Object& mutable_object();

    /// Equal values; 1 and 1.0 are equal, the order of members does not matter.
    friend bool operator==(const Json& a, const Json& b);

    /// The same shared array, object, or an equal scalar: a cheap, incomplete test of equality.
    bool same(const Json& other) const;

private:
    std::variant<std::monostate, bool, std::int64_t, double, std::string, std::shared_ptr<Array>, std::shared_ptr<Object>> value_;
};

/// Members in the order they were first set; looked up by scan when few, by hash when many.
class Json::Object {
public:
    using const_iterator = std::vector<Member>::const_iterator;
    Object() = default;
    const Json* find(std::string_view key) const;
    Json* find(std::string_view key);
    Json& operator[](std::string_view key);  ///< made null when absent
    bool erase(std::string_view key);
    std::size_t size() const { return members_.size(); }
    bool empty() const { return members_.empty(); }
    const_iterator begin() const { return members_.begin(); }
    const_iterator end() const { return members_.end(); }

private:
    std::optional<std::size_t> index_of(std::string_view key) const;
    std::vector<Member> members_;
    std::unordered_map<std::string, std::size_t> index_;  // only above a few dozen members
};

struct JsonLimits {
    std::size_t bytes = 16 * 1024 * 1024;
    std::size_t depth = 64;
    bool exact = false;  ///< an integer beyond 64 bits is an error; else it becomes the nearest number
};

/// Reads one JSON text (RFC 8259, UTF-8, nothing behind it). An integer beyond 64 bits becomes a double.
/// Errors: invalid (position and reason; a member named twice); too_large (bytes or depth over the limit).
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

/// Writes it: compact, or with `indent` spaces a level. Bytes that are not UTF-8 become U+FFFD. NaN and infinities become null.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace mill
