using System.Globalization;
using System.Text.RegularExpressions;

namespace Huzhu.Groups.Features;

/// <summary>
/// Times as clients write them: ISO 8601 with an offset. One without is refused: taken for the server's own time it
/// would shift a closure by hours, and nobody would notice.
/// </summary>
internal static partial class Moments
{
    public const string Expected = "A time in ISO 8601 with an offset is expected, such as 2022-04-01T08:30:00+08:00.";

    /// <summary>True with null for no text. Whole milliseconds, so that a timer set for the time is never early.</summary>
    public static bool TryRead(string? text, out DateTimeOffset? moment)
    {
        moment = null;
        if (text is null)
            return true;
        if (!WithOffset().IsMatch(text) || !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out var read))
            return false;
        moment = InMilliseconds(read);
        return true;
    }

    public static DateTimeOffset InMilliseconds(this DateTimeOffset moment) =>
        new(moment.UtcTicks - moment.UtcTicks % TimeSpan.TicksPerMillisecond, TimeSpan.Zero);

    [GeneratedRegex(@"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$", RegexOptions.CultureInvariant)]
    private static partial Regex WithOffset();
}
