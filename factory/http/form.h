// factory/http/form.h -- application/x-www-form-urlencoded bodies.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "platform/base/encode.h"

namespace mill::factory {

/// What does not decode is left out; of a name that comes twice the first counts.
class Form {
public:
    explicit Form(std::string_view body)
    {
        while (!body.empty()) {
            const auto end = body.find('&');
            const auto pair = body.substr(0, end);
            body = end == std::string_view::npos ? std::string_view() : body.substr(end + 1);
            const auto equals = pair.find('=');
            const auto key = decoded(pair.substr(0, equals)), value = decoded(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1));
            if (key && value) values_.emplace(*key, *value);
        }
    }
    const std::string& operator[](std::string_view name) const
    {
        static const std::string none;
        const auto found = values_.find(name);
        return found == values_.end() ? none : found->second;
    }

private:
    static Result<std::string> decoded(std::string_view text)
    {
        std::string plain(text);
        for (char& c : plain)
            if (c == '+') c = ' ';
        return percent_decode(plain);
    }
    std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace mill::factory
