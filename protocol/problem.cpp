#include "protocol/problem.h"

#include <fmt/format.h>

namespace mill::protocol {

Json problem(int status, std::string_view detail, std::string_view name)
{
    return Json::object({{"type", name.empty() ? std::string("about:blank") : fmt::format("urn:millwright:problem:{}", name)},
                         {"title", status_text(status)},
                         {"status", status},
                         {"detail", detail}});
}

Json problem(const Error& error) { return problem(status_of(error.code), error.what); }

int status_of(Errc code)
{
    switch (code) {
    case Errc::invalid: return 400;
    case Errc::denied: return 403;
    case Errc::not_found: return 404;
    case Errc::conflict: return 409;
    case Errc::too_large: return 413;
    case Errc::unavailable: return 503;
    case Errc::timeout: return 504;
    case Errc::cancelled: return 503;
    case Errc::corrupt: return 500;
    case Errc::internal: return 500;
    }
    return 500;
}

std::string_view status_text(int status)
{
    static constexpr std::pair<int, std::string_view> kTexts[] = {
        {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {206, "Partial Content"},
        {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"},
        {307, "Temporary Redirect"}, {308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"},
        {402, "Payment Required"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
        {406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"}, {411, "Length Required"},
        {412, "Precondition Failed"}, {413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"},
        {421, "Misdirected Request"}, {422, "Unprocessable Content"}, {425, "Too Early"}, {426, "Upgrade Required"},
        {428, "Precondition Required"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
        {504, "Gateway Timeout"}, {507, "Insufficient Storage"}};
    for (const auto& [code, text] : kTexts)
        if (code == status) return text;
    return status >= 500 ? "Server Error" : status >= 400 ? "Client Error" : "Status";
}

}  // namespace mill::protocol
