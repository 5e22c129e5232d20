// tests/unit/factory_http/serve.h -- a server for one case, and what it is asked.
#pragma once

#include <catch2/catch.hpp>

#include "factory/http/server.h"
#include "tests/unit/factory_http/raw_client.h"

namespace mill::test {

using namespace mill::factory;

inline std::unique_ptr<HttpServer> serve(HttpServerOptions options, HttpHandler handler)
{
    auto server = start_http_server(std::move(options), std::move(handler));
    if (!server) FAIL(server.error().what);
    return std::move(*server);
}

inline HttpHandler echo()
{
    return [](HttpCall call, Responder responder) {
        HttpReply reply;
        reply.content_type = "text/plain";
        reply.body = call.method + " " + call.path + " [" + call.body + "] " + std::string(call.header("x-test")) + std::string(call.query_value("q"));
        responder.reply(std::move(reply));
    };
}

inline std::string get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n\r\n"; }

}  // namespace mill::test
