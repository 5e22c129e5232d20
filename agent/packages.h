// agent/packages.h -- packages on this machine: fetched once, their digest verified before every use.
#pragma once

#include <stop_token>
#include <string>

#include "agent/factory_client.h"
#include "protocol/offer.h"

namespace mill::agent {

/// DIR/packages/HEX.mwp of a digest. Errors: invalid (it is none).
Result<std::string> package_path(const std::string& data_folder, const std::string& digest);

/// Thread: one (each fetcher has its own); several may share a folder.
class Packages {
public:
    Packages(const std::string& data_folder, const Identity& identity, const Config& config);
    /// The path of the offer's package. Errors: corrupt (the bytes do not match the digest), invalid (the digest is none),
    /// not_found, denied (the attempt's token is over), unavailable, timeout, cancelled.
    Result<std::string> get(const protocol::Offer& offer, std::stop_token stop);

private:
    void make_room();
    const std::string folder_;
    const Identity& identity_;
    const ByteCount quota_;
    std::unique_ptr<platform::HttpClient> client_;
};

}  // namespace mill::agent
