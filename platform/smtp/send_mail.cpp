#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

#include <curl/curl.h>
#include <fmt/format.h>

#include "platform/smtp.h"

namespace mill::platform {
namespace {

constexpr std::size_t kAnswerKept = 4096;

/// One dialogue: what goes out, and the server's last answer.
struct Dialogue {
    std::string_view rest;
    std::string line, answer, last;   ///< an answer that has more lines; the last whole one
    int status = 0;
    bool leaving = false;             ///< QUIT was said: what the server says to that is of no interest
    std::stop_token stop;

    void hear(std::string_view piece)
    {
        for (const char c : piece) {
            if (c != '\n') {
                if (line.size() < kAnswerKept) line += c;
                continue;
            }
            while (!line.empty() && line.back() == '\r') line.pop_back();
            const bool coded = line.size() >= 3 && std::all_of(line.begin(), line.begin() + 3, [](char d) { return d >= '0' && d <= '9'; });
            if (answer.size() + line.size() < kAnswerKept) answer += (answer.empty() ? "" : "\n") + line;
            if (coded && (line.size() == 3 || line[3] == ' ')) {
                status = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
                last = std::exchange(answer, {});
            }
            line.clear();
        }
    }
};

int debug_heard(CURL*, curl_infotype kind, char* data, std::size_t size, void* user)
{
    auto& dialogue = *static_cast<Dialogue*>(user);
    if (kind == CURLINFO_HEADER_OUT && std::string_view(data, size).starts_with("QUIT")) dialogue.leaving = true;
    if (kind == CURLINFO_HEADER_IN && !dialogue.leaving) dialogue.hear({data, size});
    return 0;
}

std::size_t give_text(char* to, std::size_t size, std::size_t count, void* user)
{
    auto& rest = static_cast<Dialogue*>(user)->rest;
    const std::size_t bytes = std::min(size * count, rest.size());
    std::memcpy(to, rest.data(), bytes);
    rest.remove_prefix(bytes);
    return bytes;
}

int watch_stop(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return static_cast<Dialogue*>(user)->stop.stop_requested() ? 1 : 0; }

struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

void append(List& list, const std::string& text) { list.reset(curl_slist_append(list.release(), text.c_str())); }

}  // namespace

Result<MailAnswer> send_mail(const MailRequest& request, std::stop_token stop)
{
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
    if (!curl) return fail(Errc::internal, "libcurl gives no handle");
    const MailServer& server = request.server;
    const std::string where = fmt::format("{}:{}", server.host, server.port);
    Dialogue dialogue;
    dialogue.rest = request.text;
    dialogue.stop = std::move(stop);
    char words[CURL_ERROR_SIZE] = "";
    const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
    const bool from_start = server.tls == MailServer::Tls::from_start;
    set(CURLOPT_URL, fmt::format("{}://{}", from_start ? "smtps" : "smtp", where).c_str());
    set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    set(CURLOPT_PROXY, "");   // whatever the environment says
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_ERRORBUFFER, words);
    List pinned;
    if (!request.pinned_address.empty()) {
        const bool six = request.pinned_address.find(':') != std::string::npos;
        append(pinned, fmt::format("{}:{}{}{}", where, six ? "[" : "", request.pinned_address, six ? "]" : ""));
        set(CURLOPT_RESOLVE, pinned.get());
    }
    if (server.tls != MailServer::Tls::none) {
        set(CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
        set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
        if (!request.ca_file.empty()) set(CURLOPT_CAINFO, request.ca_file.c_str());   // the system's folder of authorities stays
    }
    if (!request.username.empty()) {
        set(CURLOPT_USERNAME, request.username.c_str());
        set(CURLOPT_PASSWORD, request.password.c_str());
    }
    set(CURLOPT_MAIL_FROM, fmt::format("<{}>", request.from).c_str());
    List recipients;
    for (const std::string& one : request.recipients) append(recipients, fmt::format("<{}>", one));
    set(CURLOPT_MAIL_RCPT, recipients.get());
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_READFUNCTION, give_text);
    set(CURLOPT_READDATA, &dialogue);
    set(CURLOPT_VERBOSE, 1L);
    set(CURLOPT_DEBUGFUNCTION, debug_heard);
    set(CURLOPT_DEBUGDATA, &dialogue);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, watch_stop);
    set(CURLOPT_XFERINFODATA, &dialogue);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min<std::int64_t>(request.timeout.count(), 10'000)));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    const CURLcode code = curl_easy_perform(curl.get());
    if (code == CURLE_OK) return MailAnswer{dialogue.status, dialogue.last};
    const std::string said = words[0] != '\0' ? words : curl_easy_strerror(code);
    switch (code) {
    case CURLE_ABORTED_BY_CALLBACK: return fail(Errc::cancelled, fmt::format("{}: cancelled", where));
    case CURLE_OPERATION_TIMEDOUT: return fail(Errc::timeout, fmt::format("{}: {}", where, dialogue.last.empty() ? "no answer in time" : "no further answer in time; the last was: " + dialogue.last));
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST: return fail(Errc::unavailable, fmt::format("{}: cannot connect: {}", where, said));
    case CURLE_USE_SSL_FAILED: return fail(Errc::denied, fmt::format("{}: it offers no TLS, and nothing is sent without: `tls: tls` when it speaks TLS from the start (usually port 465)", where));
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR: return fail(Errc::denied, fmt::format("{}: TLS: {}", where, said));
    default: break;
    }
    if (dialogue.status >= 400) return MailAnswer{dialogue.status, dialogue.last};
    return fail(Errc::unavailable, fmt::format("{}: {}{}", where, said, dialogue.last.empty() ? "" : "; its last answer was: " + dialogue.last));
}

}  // namespace mill::platform
