#include "workflows/activities/contract.h"

namespace mill::workflows {

void add_archives(std::vector<Activity>& out)
{
    using namespace contract;
    out.push_back({"archive.create", "Packs a folder into one file.", "archive.create",
                   object({{"source", granted("files.read", "the folder")},
                           {"target", granted("files.write", "the archive to write")},
                           {"format", one_of("by the target's name unless told", Json::array({"zip", "tar.gz"}))}}, Json::array({"source", "target"})),
                   object({{"path", text("the archive")}, {"files", integer("how many")}, {"size", integer("bytes")}, {"digest", text("sha256:HEX")}}, {}, false),
                   {"files.read", "files.write"},
                   example("archive.create", Json::object({{"source", "/srv/data"}, {"target", "/srv/backup/data.tar.gz"}}))});
    out.push_back({"archive.verify", "Reads every entry of an archive back.", "archive.verify",
                   object({{"path", granted("files.read", "the archive")}, {"digest", text("what it must have, sha256:HEX")}}, Json::array({"path"})),
                   object({{"path", text("the archive")}, {"files", integer("how many")}, {"size", integer("bytes")}, {"digest", text("sha256:HEX")},
                           {"ok", boolean("all could be read, and the digest is right")}}, {}, false),
                   {"files.read"}, example("archive.verify", Json::object({{"path", "/srv/backup/data.tar.gz"}}))});
}

}  // namespace mill::workflows
