// cpprestsdk behind platform/http_client.h. Nothing of it, and nothing it throws, leaves this file.
#include "platform/http_client.h"

#include <condition_variable>
#include <mutex>

#include <boost/asio/ssl.hpp>
#include <cpprest/http_client.h>
#include <fmt/format.h>
#include <pplx/threadpool.h>

#include "platform/base/text.h"
#include "platform/http/tls_check.h"

namespace mill::platform {
namespace {

namespace web_http = web::http;
using RestClient = web_http::client::http_client;
using RestConfig = web_http::client::http_client_config;
constexpr std::string_view kCannotConnect = "cannot connect";

/// A client and what its certificate check found out.
struct Destination {
    std::unique_ptr<RestClient> client;
    std::shared_ptr<TlsCheck> tls;
};

using Deadline = std::chrono::steady_clock::time_point;

/// The library's own threads, for all clients; must be said before its first use.
void start_pool(std::size_t threads)
{
    static std::once_flag once;
    std::call_once(once, [threads] {
        try {
            crossplat::threadpool::initialize_with_threads(threads);
        } catch (const std::exception&) {  // NOLINT: somebody was faster; the pool is there
        }
    });
}

/// Head and body go out in two writes. On a kept connection the second would wait until the peer acknowledges the first, which it may put
/// off for 40 ms. The library offers its handle for each request (a stream of TLS, or the socket); a connection that is not open yet is too young for that.
void send_at_once(boost::asio::ip::tcp::socket& socket)
{
    boost::system::error_code ignored;
    if (socket.is_open()) socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
}

/// Bounds how many requests are under way at once.
class Slots {
public:
    explicit Slots(std::size_t count) : free_(std::max<std::size_t>(count, 1)) {}

    Status take(Deadline deadline, const std::stop_token& stop)
    {
        std::unique_lock lock(mutex_);
        if (!given_.wait_until(lock, stop, deadline, [&] { return free_ > 0; }))
            return stop.stop_requested() ? fail(Errc::cancelled, "stopped on request") : fail(Errc::timeout, "no free connection in time");
        --free_;
        return {};
    }

    void give()
    {
        {
            const std::scoped_lock lock(mutex_);
            ++free_;
        }
        given_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable_any given_;
    std::size_t free_;
};

/// What our thread and the library's share about one request; outlives both.
struct Exchange {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::optional<Result<HttpResponse>> result;
    bool too_large = false;

    void finish(Result<HttpResponse> value)
    {
        {
            const std::scoped_lock lock(mutex);
            if (!result) result = std::move(value);
        }
        changed.notify_all();
    }
};

/// The library's words mislead (a time-out is "Failed to read HTTP status line"): the number decides.
Error translate(const Uri& uri, const web_http::http_exception& error, const std::string& tls = {})
{
    const int code = error.error_code().value();
    const std::string where = fmt::format("{}:{}", uri.host, uri.port);
    constexpr int kTlsLibrary = 0x0A000000;  // OpenSSL 3 packs the library's number into the high byte
    if ((code & 0x7F000000) == kTlsLibrary || std::string_view(error.what()).find("SSL handshake") != std::string_view::npos) {
        // A peer that hangs up or is silent is no matter of trust.
        if (code < 0x1000000 && code > 1) return {Errc::unavailable, fmt::format("{}: the connection broke during the TLS handshake", where)};
        if (!tls.empty()) return {Errc::denied, fmt::format("{}: its certificate is refused: {}", where, tls)};
        return {Errc::denied, fmt::format("{}: TLS: {}", where, tls_words(static_cast<unsigned long>(code)))};
    }
    switch (code) {
    case ETIMEDOUT: return {Errc::timeout, fmt::format("{}: no answer in time", where)};
    case ECANCELED: return {Errc::cancelled, fmt::format("{}: cancelled", where)};
    case EHOSTUNREACH:
    case ECONNREFUSED: return {Errc::unavailable, fmt::format("{}: {}", where, kCannotConnect)};
    default: return {Errc::unavailable, fmt::format("{}: {} ({})", where, error.what(), code)};
    }
}

Status check_headers(const HttpRequest& request)
{
    constexpr std::string_view token = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    if (request.method.empty() || request.method.find_first_not_of(token) != std::string::npos)
        return fail(Errc::invalid, fmt::format("'{}' is no HTTP method", request.method));
    for (const auto& [name, value] : request.headers) {
        if (name.empty() || name.find_first_not_of(token) != std::string::npos) return fail(Errc::invalid, fmt::format("'{}' is no header's name", name));
        for (const char c : value)
            if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
                return fail(Errc::invalid, fmt::format("header '{}' holds a control character", name));
    }
    return {};
}

HttpResponse head_of(const web_http::http_response& response)
{
    HttpResponse out;
    out.status = response.status_code();
    for (const auto& [name, value] : response.headers()) out.headers.emplace_back(lower_case(name), value);
    return out;
}

class CpprestClient : public HttpClient {
public:
    explicit CpprestClient(HttpOptions options) : options_(std::move(options)), slots_(options_.connections) { start_pool(options_.threads); }

    Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop) override
    {
        const auto uri = parse_uri(request.uri);
        if (!uri) return fail(uri.error());
        if (auto ok = check_headers(request); !ok) return fail(ok.error());
        const Deadline deadline = std::chrono::steady_clock::now() + request.timeout;
        if (auto ok = slots_.take(deadline, stop); !ok) return fail(fmt::format("{}:{}", uri->host, uri->port), ok.error());
        Result<HttpResponse> result = fail(Errc::internal, "no address");
        bool connected = false;
        for (std::string_view rest = options_.pinned_address; !connected;) {
            const auto cut = rest.find(',');
            result = exchange(*uri, std::string(rest.substr(0, cut)), request, deadline, stop);
            // Only where no connection came about nothing can have been sent.
            connected = result || result.error().code != Errc::unavailable || !result.error().what.ends_with(kCannotConnect);
            if (cut == std::string_view::npos) break;
            rest.remove_prefix(cut + 1);
        }
        slots_.give();
        return result;
    }

private:
    Result<HttpResponse> exchange(const Uri& uri, const std::string& pinned, const HttpRequest& request, Deadline deadline, const std::stop_token& stop)
    {
        const auto shared = std::make_shared<Exchange>();
        pplx::cancellation_token_source cancel;
        try {
            const std::shared_ptr<Destination> client = client_for(uri, pinned, request.repeatable);
            web_http::http_request outgoing = make_request(uri, request);
            outgoing.set_progress_handler([shared, cancel, most = request.max_response](web_http::message_direction::direction way, utility::size64_t bytes) {
                if (way != web_http::message_direction::download || bytes <= most) return;
                {
                    const std::scoped_lock lock(shared->mutex);
                    shared->too_large = true;
                }
                cancel.cancel();
            });
            start(client, outgoing, cancel, shared, uri, request);
        } catch (const web::uri_exception& error) {
            return fail(Errc::invalid, fmt::format("'{}' is no usable URI: {}", request.uri, error.what()));
        } catch (const web_http::http_exception& error) {
            return fail(translate(uri, error));
        } catch (const std::exception& error) {
            return fail(Errc::unavailable, fmt::format("{}:{}: {}", uri.host, uri.port, error.what()));
        }
        return await(*shared, cancel, deadline, stop, uri, request);
    }

    static void start(const std::shared_ptr<Destination>& client, const web_http::http_request& outgoing, const pplx::cancellation_token_source& cancel,
                      const std::shared_ptr<Exchange>& shared, const Uri& uri, const HttpRequest& request)
    {
        // Each chain ends in a continuation that takes the exception: one that nobody looks at would end the process.
        const std::size_t most = request.max_response;
        client->client->request(outgoing, cancel.get_token())
            .then([shared, cancel, most](web_http::http_response response) {
                if (response.headers().content_length() > most && response.headers().has(web_http::header_names::content_length)) {
                    {
                        const std::scoped_lock lock(shared->mutex);
                        shared->too_large = true;
                    }
                    cancel.cancel();
                }
                return response.extract_vector().then([response](std::vector<unsigned char> body) {
                    HttpResponse out = head_of(response);
                    out.body.assign(body.begin(), body.end());
                    return out;
                });
            })
            .then([shared, uri, client](pplx::task<HttpResponse> done) {
                try {
                    shared->finish(done.get());
                } catch (const web_http::http_exception& error) {
                    Error translated = translate(uri, error, client->tls->why());
                    translated.what += client->tls->objection();
                    shared->finish(fail(std::move(translated)));
                } catch (const pplx::task_canceled&) {
                    shared->finish(fail(Errc::cancelled, fmt::format("{}:{}: cancelled", uri.host, uri.port)));
                } catch (const std::exception& error) {
                    shared->finish(fail(Errc::unavailable, fmt::format("{}:{}: {}", uri.host, uri.port, error.what())));
                }
            });
    }

    static Result<HttpResponse> await(Exchange& shared, pplx::cancellation_token_source& cancel, Deadline deadline, const std::stop_token& stop,
                                      const Uri& uri, const HttpRequest& request)
    {
        const auto over = [&] { return fail(Errc::too_large, fmt::format("{}:{}: the answer is larger than {} bytes", uri.host, uri.port, request.max_response)); };
        std::unique_lock lock(shared.mutex);
        const auto done = [&] { return shared.result.has_value(); };
        if (!shared.changed.wait_until(lock, stop, deadline, done)) {
            const bool stopped = stop.stop_requested();
            lock.unlock();
            cancel.cancel();
            lock.lock();
            // A cancelled exchange ends at once, but for one that still asks the resolver: that one is left to itself.
            shared.changed.wait_for(lock, std::chrono::seconds(1), done);
            if (shared.too_large) return over();
            if (stopped) return fail(Errc::cancelled, "stopped on request");
            return fail(Errc::timeout, fmt::format("{}:{}: no whole answer within {} ms", uri.host, uri.port, request.timeout.count()));
        }
        if (shared.too_large) return over();
        if (*shared.result && (*shared.result)->body.size() > request.max_response) return over();
        return std::move(*shared.result);
    }

    web_http::http_request make_request(const Uri& uri, const HttpRequest& request) const
    {
        web_http::http_request out(request.method);
        out.set_request_uri(web::uri(uri.query.empty() ? uri.path : uri.path + "?" + uri.query));
        bool typed = false, hosted = false;
        if (!request.body.empty()) out.set_body(std::vector<unsigned char>(request.body.begin(), request.body.end()));
        for (const auto& [name, value] : request.headers) {
            const std::string key = lower_case(name);
            if (key == "content-length" || key == "transfer-encoding" || key == "connection") continue;  // ours to say
            typed = typed || key == "content-type";
            hosted = hosted || key == "host";
            if (key == "content-type") out.headers().remove(name);
            out.headers().add(name, value);
        }
        if (!typed) out.headers().remove(web_http::header_names::content_type);
        if ((!options_.pinned_address.empty() || uri.host.find(':') != std::string::npos) && !hosted) out.headers().add(web_http::header_names::host, uri.authority());
        if (request.body.empty() && (request.method == "POST" || request.method == "PUT" || request.method == "PATCH"))
            out.headers().add(web_http::header_names::content_length, "0");
        return out;
    }

    /// A request that may be repeated goes over a kept connection; the library silently sends one again whose kept connection
    /// had died, so any other gets a connection of its own.
    std::shared_ptr<Destination> client_for(const Uri& uri, const std::string& pinned, bool repeatable)
    {
        const std::string address = pinned.empty() ? uri.host : pinned;
        // IPv6 without brackets: with them the library would ask the resolver for a name of that spelling.
        const web::uri base = web::uri_builder().set_scheme(uri.scheme).set_host(address).set_port(uri.port).to_uri();
        const auto make = [&] {
            auto made = std::make_shared<Destination>();
            made->tls = std::make_shared<TlsCheck>(uri.host);
            made->client = std::make_unique<RestClient>(base, config(made->tls, uri.scheme == "https"));
            return made;
        };
        if (!repeatable) return make();
        const std::scoped_lock lock(mutex_);
        auto& kept = kept_[base.to_string() + " " + uri.host];
        if (!kept) kept = make();
        return kept;
    }

    RestConfig config(const std::shared_ptr<TlsCheck>& check, bool tls) const
    {
        RestConfig out;
        out.set_timeout(std::chrono::hours(24));  // ours is the deadline: the library's restarts with each byte
        out.set_max_redirects(0);
        if (!tls) out.set_nativehandle_options([](web_http::client::native_handle handle) { send_at_once(*static_cast<boost::asio::ip::tcp::socket*>(handle)); });
        else if (options_.proxy.empty())  // behind a proxy it is another type before the tunnel stands
            out.set_nativehandle_options([](web_http::client::native_handle handle) {
                send_at_once(static_cast<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>*>(handle)->next_layer());
            });
        if (!options_.proxy.empty()) out.set_proxy(proxy());
        out.set_ssl_context_callback([options = options_, check](boost::asio::ssl::context& context) {
            TlsCheck::install(context.native_handle(), check);
            SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
            if (!options.ca_file.empty()) context.load_verify_file(options.ca_file);
            if (!options.certificate_file.empty()) context.use_certificate_chain_file(options.certificate_file);
            if (!options.key_file.empty()) context.use_private_key_file(options.key_file, boost::asio::ssl::context::pem);
            using boost::asio::buffer;
            if (!options.authority_pem.empty()) context.add_certificate_authority(buffer(options.authority_pem));
            if (!options.certificate_pem.empty()) context.use_certificate_chain(buffer(options.certificate_pem));
            if (!options.key_pem.empty()) context.use_private_key(buffer(options.key_pem), boost::asio::ssl::context::pem);
        });
        return out;
    }

    web::web_proxy proxy() const
    {
        const web::uri whole(options_.proxy);
        web::uri_builder plain(whole);
        plain.set_user_info("");
        web::web_proxy out(plain.to_uri());
        const std::string& user = whole.user_info();
        if (const auto cut = user.find(':'); cut != std::string::npos)
            out.set_credentials(web::credentials(web::uri::decode(user.substr(0, cut)), web::uri::decode(user.substr(cut + 1))));
        return out;
    }

    HttpOptions options_;
    Slots slots_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Destination>> kept_;
};

}  // namespace

std::string HttpResponse::header(std::string_view lower_case_name) const
{
    for (const auto& [name, value] : headers)
        if (name == lower_case_name) return value;
    return {};
}

std::unique_ptr<HttpClient> make_http_client(HttpOptions options)
{
    return std::make_unique<CpprestClient>(std::move(options));
}

}  // namespace mill::platform
