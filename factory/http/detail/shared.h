// factory/http/detail/shared.h -- what all connections of one server share.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "factory/http/detail/link.h"
#include "factory/http/detail/sockets.h"

namespace mill::factory::detail {

/// Owned by the server and by each connection: a Responder that outlives the server must find its socket's context alive.
struct Shared {
    struct Free {
        void operator()(SSL_CTX* settings) const { SSL_CTX_free(settings); }
    };

    HttpServerOptions options;
    HttpHandler handler;
    net::io_context context;
    std::unique_ptr<SSL_CTX, Free> tls;
    std::atomic<bool> stopping = false;  ///< no further calls
    std::atomic<bool> stopped = false;   ///< the threads are gone: posting is of no use

    std::mutex mutex;  ///< guards what follows
    std::unordered_map<const void*, std::weak_ptr<Peer>> peers;
    std::unordered_map<std::string, std::size_t> per_address;

    /// False when the address has its full number already.
    bool admit(const std::string& address)
    {
        const std::scoped_lock lock(mutex);
        std::size_t& count = per_address[address];
        if (count >= options.connections_per_address) return false;
        ++count;
        return true;
    }
    void release(const std::string& address)
    {
        const std::scoped_lock lock(mutex);
        const auto found = per_address.find(address);
        if (found != per_address.end() && --found->second == 0) per_address.erase(found);
    }
};

}  // namespace mill::factory::detail
