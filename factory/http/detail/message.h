// factory/http/detail/message.h -- requests and status lines as Beast has them.
#pragma once

#include <string>
#include <string_view>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include "factory/http/server.h"

namespace mill::factory::detail {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::string_body>;

inline std::string_view reason(int status)
{
    const auto text = http::obsolete_reason(static_cast<http::status>(status));
    return {text.data(), text.size()};
}

/// Names in lower case.
inline void take_headers(const Parser::value_type& request, HttpCall& call)
{
    for (const auto& field : request) {
        std::string name(field.name_string());
        for (char& c : name)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        call.headers.emplace_back(std::move(name), std::string(field.value()));
    }
}

}  // namespace mill::factory::detail
