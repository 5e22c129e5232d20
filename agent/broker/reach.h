// agent/broker/reach.h -- what the operating system lets a worker of an attempt reach, behind the verdict of each call.
#pragma once

#include <string>

#include "platform/confine_files.h"
#include "protocol/permissions.h"

namespace mill::broker {

/// The granted files, and what names, certificates, times and the helper are read from. The network stays to the verdicts.
platform::FileAccess reach_of(const protocol::Permissions& grants);

/// Which folders these are now. Another text: a grant changed, or one was replaced or mounted over, and who is confined to the ones before has to make
/// way for one who is not. A few microseconds for each granted path.
std::string places_of(const protocol::Permissions& grants);

}  // namespace mill::broker
