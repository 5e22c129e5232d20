// agent/broker/bridge.h -- the network of an attempt's commands: an HTTP proxy at a listener in the sandbox, each target checked as http.request's.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "agent/broker/effects.h"
#include "agent/broker/message.h"
#include "platform/proxy_request.h"
#include "platform/stream.h"

namespace mill::broker {

inline constexpr std::uint16_t kBridgePort = 3128;
struct BridgeBounds {
    std::size_t connections = 32;      ///< at once; more wait until one ends
    Milliseconds head{10'000};         ///< until the whole head of a request has come
    Milliseconds connect{20'000};      ///< to all addresses of a target together
};

/// What is asked of the bridge: by `target`, and whether it may be. Errors: authorization, as http.request says it; communication.
/// Blocks: for the resolver.
Outcome<std::vector<std::string>> may_bridge(const protocol::Permissions& grants, const platform::Uri& target);

/// CONNECT and plain http://. No credential is put in. Owns a thread that accepts and one for each connection; what somebody in the sandbox
/// does to the listener harms its own attempt only.
class Bridge {
public:
    /// Waits until there are grants, or for the stop.
    using GrantsOf = std::function<std::shared_ptr<const Grants>(const std::stop_token&)>;
    /// Called on a connection's thread.
    using Refused = std::function<void(const EffectError&)>;
    Bridge(std::string key, platform::TcpListener listener, GrantsOf grants, Refused refused, BridgeBounds bounds = {});
    Bridge(const Bridge&) = delete;
    Bridge& operator=(const Bridge&) = delete;
    ~Bridge();   ///< Blocks until its threads are done.
    void end();  ///< every connection ends; does not wait. Thread: any.

private:
    struct Connection {
        std::jthread thread;
        bool done = false;
    };
    void accept(const std::stop_token& stop);
    void make_room(const std::stop_token& stop);
    void serve(platform::TcpStream client, const std::stop_token& stop);
    Outcome<platform::TcpStream> reach(const platform::ProxyRequest& request, const std::stop_token& stop);

    const std::string key_;
    platform::TcpListener listener_;
    const GrantsOf grants_;
    const Refused refused_;
    const BridgeBounds bounds_;
    platform::Passed passed_;
    std::size_t served_ = 0;  // the acceptor's
    std::stop_source over_;
    std::mutex mutex_;        // of the list
    std::condition_variable_any room_;
    std::list<Connection> connections_;
    std::jthread acceptor_;
};

}  // namespace mill::broker
