// factory/http/server.h -- an HTTP/1.1 server with limits and deadlines (Boost.Beast behind it; factory/http/ only).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/result.h"

namespace mill::factory {

struct HttpCall {
    std::string method;                                        ///< upper case
    std::string path;                                          ///< percent-encoded as sent, without query
    std::vector<std::pair<std::string, std::string>> query;    ///< decoded
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
    std::string body;
    std::string remote;                                        ///< address of the peer
    bool tls = false;
    std::string_view header(std::string_view lower_case_name) const;
    std::string_view query_value(std::string_view name) const;
};

struct HttpReply {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
    std::string content_type = "application/json";
};

/// The way to answer one call: now or later, from any thread, once. A copy is cheap. When the last copy goes without an answer the
/// caller gets 500. While unanswered the call is parked: it costs a connection and no thread; there is no deadline on it.
class Responder {
public:
    /// The connection behind a call; a test may put its own here. Thread: any.
    struct Link {
        virtual ~Link() = default;
        virtual void reply(HttpReply reply) = 0;
        virtual bool start_stream(HttpReply head) = 0;
        virtual bool send_piece(std::string piece) = 0;
        virtual void end_stream() = 0;
        virtual void on_gone(std::function<void()> gone) = 0;
    };
    explicit Responder(std::shared_ptr<Link> link) : link_(std::move(link)) {}
    void reply(HttpReply reply) const { link_->reply(std::move(reply)); }
    /// Instead of `reply`: headers now, then pieces (server-sent events) until `end`. False when the peer is gone or its queue
    /// (1 MiB) is full.
    bool start_stream(HttpReply head) const { return link_->start_stream(std::move(head)); }
    bool send_piece(std::string piece) const { return link_->send_piece(std::move(piece)); }
    void end_stream() const { link_->end_stream(); }
    /// Called once, on a server thread, when the peer goes away before the answer was sent or while it streams. Set it before parking.
    void on_gone(std::function<void()> gone) const { link_->on_gone(std::move(gone)); }

private:
    std::shared_ptr<Link> link_;
};

/// Runs on a server thread and must not block for longer than a store read; long work answers later.
using HttpHandler = std::function<void(HttpCall, Responder)>;

struct HttpServerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;
    unsigned threads = 2;
    std::size_t header_limit = 16 * 1024;
    std::chrono::milliseconds header_deadline{10'000}, body_deadline{60'000}, write_deadline{60'000}, idle_deadline{75'000};
    std::size_t connections_per_address = 12'000;
    std::string certificate_file, key_file;  ///< PEM; empty: plain text
    /// Body limit of a path in bytes, asked after the header has been read.
    std::function<std::size_t(std::string_view method, std::string_view path)> body_limit;
};

class HttpServer {
public:
    virtual ~HttpServer() = default;  ///< stops
    virtual std::uint16_t port() const = 0;
    virtual void stop() = 0;          ///< takes no new calls, ends parked ones with 503, waits for its threads
};
/// Errors: unavailable (address in use), invalid (certificate).
Result<std::unique_ptr<HttpServer>> start_http_server(HttpServerOptions options, HttpHandler handler);

}  // namespace mill::factory
