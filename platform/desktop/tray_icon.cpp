#include "platform/desktop/tray_icon.h"

#include <cmath>

namespace mill::platform::desktop {
namespace {

struct Colour {
    int red, green, blue;
};

constexpr Colour kIdle{148, 158, 170}, kWorking{52, 132, 228}, kAsks{235, 140, 20}, kDot{255, 255, 255};

Colour colour_of(TrayLook::State state)
{
    switch (state) {
    case TrayLook::State::working: return kWorking;
    case TrayLook::State::asks: return kAsks;
    default: return kIdle;
    }
}

/// A millstone from above: a disc with an eye; furrows when it works, a full eye when it asks, only its rim when the agent is away.
/// Shape says the same as colour, for whoever sees no difference of colours.
bool is_stone(TrayLook::State state, double x, double y)
{
    const double radius = std::hypot(x, y), turn = std::atan2(y, x);
    if (radius > 0.95 || radius < 0.22) return false;
    if (state == TrayLook::State::away) return radius > 0.72;
    if (state == TrayLook::State::working && radius > 0.36 && radius < 0.82) return std::fmod(turn + 4 * std::acos(-1.0) + radius, std::acos(-1.0) / 3) > 0.22;
    return true;
}

}  // namespace

std::vector<std::uint8_t> draw_icon(TrayLook::State state, int side)
{
    constexpr int kFine = 4;   // samples in each direction: smooth edges
    const Colour colour = colour_of(state);
    std::vector<std::uint8_t> out;
    out.reserve(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 4);
    for (int row = 0; row < side; ++row)
        for (int column = 0; column < side; ++column) {
            int stone = 0, dot = 0;
            for (int i = 0; i < kFine * kFine; ++i) {
                const double x = (column + (i % kFine + 0.5) / kFine) * 2 / side - 1, y = (row + (i / kFine + 0.5) / kFine) * 2 / side - 1;
                if (is_stone(state, x, y)) ++stone;
                else if (state == TrayLook::State::asks && std::hypot(x, y) < 0.22) ++dot;
            }
            const int covered = stone + dot;
            const auto mixed = [&](int of_stone, int of_dot) { return static_cast<std::uint8_t>(covered == 0 ? 0 : (stone * of_stone + dot * of_dot) / covered); };
            out.push_back(static_cast<std::uint8_t>(covered * 255 / (kFine * kFine)));
            out.push_back(mixed(colour.red, kDot.red));
            out.push_back(mixed(colour.green, kDot.green));
            out.push_back(mixed(colour.blue, kDot.blue));
        }
    return out;
}

}  // namespace mill::platform::desktop
