// agent/broker/archive_reader.h -- reads an archive back, every byte of every entry. Runs in the helper process only.
#pragma once

#include <cstdint>
#include <string>

#include "platform/base/result.h"
#include "platform/channel.h"

namespace mill::broker {

struct ArchiveContents {
    std::uint64_t files = 0;    ///< entries that are files
    std::uint64_t content = 0;  ///< their bytes
    std::uint64_t size = 0;     ///< of the archive
    std::string digest;         ///< "sha256:HEX" of the archive
};

/// zip and tar.gz. Errors: corrupt (says which entry), too_large, unavailable.
Result<ArchiveContents> read_archive(const platform::Handle& file);

/// `millwright-broker --helper archive-verify`: descriptor 3 is the file; one JSON line on stdout, {"files","content","size",
/// "digest"} or {"error"}. Confines itself before it reads. Returns the exit status.
int archive_verify_helper();

}  // namespace mill::broker
