using System.Globalization;
using CsvHelper;
using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Scenarios;

/// <summary>
/// Real calls for help and real services, from two files with the columns <c>serial,reported_at,latitude,longitude,category_codes</c>:
/// replayed in time order, hospitals and clinics as providers, everybody else as groups, and a closure of all providers halfway.
/// </summary>
public static class Haiti2010
{
    static readonly string[] Columns = ["serial", "reported_at", "latitude", "longitude", "category_codes"];
    const double ClosureShare = 0.5, ReopeningShare = 0.85;
    static readonly TimeSpan LongestGap = TimeSpan.FromHours(6);

    /// <summary>What a call's category asks for, and how urgent it is. One need for each distinct service kind of a row.</summary>
    static readonly Dictionary<string, (string Kind, Urgency Urgency)> NeedKinds = new()
    {
        ["1"] = (ServiceKinds.MedicalCare, Urgency.Health), // emergency, not said which
        ["1a"] = (ServiceKinds.BasicNeeds, Urgency.Health), // highly vulnerable
        ["1b"] = (ServiceKinds.MedicalCare, Urgency.LifeThreatening), // medical emergency
        ["1c"] = (ServiceKinds.Rescue, Urgency.LifeThreatening), // people trapped
        ["1d"] = (ServiceKinds.Rescue, Urgency.LifeThreatening), // fire
        ["2"] = (ServiceKinds.BasicNeeds, Urgency.Hardship), // vital lines
        ["2a"] = (ServiceKinds.Meals, Urgency.Hardship), // food shortage
        ["2b"] = (ServiceKinds.Water, Urgency.Health), // water shortage
        ["2c"] = (ServiceKinds.Water, Urgency.Health), // contaminated water, security
        ["2d"] = (ServiceKinds.Shelter, Urgency.Hardship), // shelter needed
        ["2e"] = (ServiceKinds.Goods, Urgency.Hardship), // fuel
        ["2f"] = (ServiceKinds.BasicNeeds, Urgency.Hardship), // power
        ["3"] = (ServiceKinds.MedicalCare, Urgency.Health), // public health
        ["3a"] = (ServiceKinds.EpidemicControl, Urgency.Health), // infectious disease
        ["3b"] = (ServiceKinds.MedicalCare, Urgency.Health), // chronic care
        ["3c"] = (ServiceKinds.Medicine, Urgency.Health), // medical equipment and supplies
        ["3d"] = (ServiceKinds.MedicalCare, Urgency.Health), // women's health
        ["3e"] = (ServiceKinds.Counselling, Urgency.Health), // psychiatric need
        ["4e"] = (ServiceKinds.EpidemicControl, Urgency.Hardship), // sanitation
        ["6b"] = (ServiceKinds.Rescue, Urgency.Health), // missing persons
        ["8d"] = (ServiceKinds.Rescue, Urgency.LifeThreatening), // search and rescue
    };

    /// <summary>Codes that the table does not know are understood by their family.</summary>
    static readonly Dictionary<char, (string Kind, Urgency Urgency)> NeedFamilies = new()
    {
        ['1'] = (ServiceKinds.MedicalCare, Urgency.Health),
        ['2'] = (ServiceKinds.BasicNeeds, Urgency.Hardship),
        ['3'] = (ServiceKinds.MedicalCare, Urgency.Health),
        ['4'] = (ServiceKinds.BasicNeeds, Urgency.Hardship),
        ['5'] = (ServiceKinds.BasicNeeds, Urgency.Hardship),
        ['6'] = (ServiceKinds.BasicNeeds, Urgency.Routine),
        ['8'] = (ServiceKinds.BasicNeeds, Urgency.Routine),
    };

    /// <summary>What a service gives. "7", services available, says no more: it is taken to mean all four families.</summary>
    static readonly Dictionary<string, string[]> GivenKinds = new()
    {
        ["7"] = [ServiceKinds.BasicNeeds, ServiceKinds.Specialised, ServiceKinds.Meals, ServiceKinds.Donations],
        ["7a"] = [ServiceKinds.Meals],
        ["7b"] = [ServiceKinds.Water],
        ["7c"] = [ServiceKinds.Donations, ServiceKinds.Shelter],
        // Hospital compounds were also where people found water, food and a roof.
        ["7d"] = [ServiceKinds.Specialised, ServiceKinds.BasicNeeds, ServiceKinds.Meals],
    };

    public static Scenario Build(string needsFile, string servicesFile, int seed)
    {
        var notes = new List<string>();
        var calls = Read(needsFile, "needs", notes);
        var services = Read(servicesFile, "services", notes);
        notes.Insert(0, "Free text and names are not in these files; quantities, work times and answers of coordinators are drawn from the seed.");

        var requestsWithoutTime = calls.OrderBy(row => row.ReportedAt).ThenBy(row => row.Line).ToList();
        var needCount = requestsWithoutTime.Sum(row => KindsAsked(row).Count);
        var days = ReplayDays(requestsWithoutTime);
        var calendar = MakeCalendar(requestsWithoutTime, days, needCount);
        var requests = requestsWithoutTime.Select((row, index) => BuildRequest(seed, row, days[index], calendar)).ToList();
        var responders = BuildResponders(seed, services, needCount);
        var providers = responders.Where(responder => responder.IsProvider).ToList();
        if (providers.Count == 0)
            notes.Add("No row of the services has the code 7d: there are no providers, and nothing closes.");
        return new Scenario(
            "haiti-2010", "Haiti, January 2010: calls and services as reported then", seed, calendar,
            new Behaviour(
                ProviderDeclines: 0.03, ProviderSilent: 0.01, GroupDeclines: 0.06, GroupSilent: 0.02, Releases: 0.01, CompletesInPart: 0,
                AnswerSecondsMin: 0.02, AnswerSecondsMax: 0.25),
            [], responders, requests, MeasureArea: null,
            [
                new("Calls for help", "the file", $"{requests.Count}", "data"),
                new("Needs in them", "one for each service kind of a call", $"{needCount}", "data"),
                new("Hospitals and clinics (7d), as providers", "the file", $"{providers.Count}", "data"),
                new("Other services, as groups", "the file", $"{responders.Count - providers.Count}", "data"),
                new("Places of all providers", "not in the file", $"{providers.Sum(provider => provider.Capacity)}", "simulation"),
                new("Places of all groups", "not in the file", $"{responders.Where(responder => !responder.IsProvider).Sum(group => group.Capacity)}", "simulation"),
            ],
            notes);
    }

    sealed record Row(int Line, string Serial, DateTimeOffset ReportedAt, GeoPoint Place, IReadOnlyList<string> Codes);

    static List<Row> Read(string file, string what, List<string> notes)
    {
        var rows = new List<Row>();
        var bad = new List<string>();
        var serials = new HashSet<string>();
        try
        {
            using var csv = CsvReader.FromFile(file, new CsvReaderOptions
            {
                // A stray quote must spoil its own row only; no field of these files spans lines.
                AllowLineBreaksInQuotes = false,
                NormalizeHeaderName = name => name.Trim().ToLowerInvariant(),
                TrimWhitespace = true,
                TrimInsideQuotes = true,
                TrackLineNumbers = true,
            });
            csv.ReadHeader();
            var names = csv.Headers.Select(name => name.Trim().ToLowerInvariant()).ToHashSet();
            var missing = Columns.Where(column => !names.Contains(column)).ToList();
            if (missing.Count > 0)
                throw new UsageException($"{file}: the first line must name the columns {string.Join(',', Columns)}; missing: {string.Join(", ", missing)}.");
            while (csv.Read())
            {
                var (row, reason) = Understand(csv);
                if (row is not null)
                    // Two reports under one serial are two calls.
                    rows.Add(serials.Add(row.Serial) ? row : row with { Serial = $"{row.Serial}-line-{row.Line}" });
                else
                    bad.Add($"line {csv.LineNumber}: {reason}");
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CsvFormatException)
        {
            throw new UsageException($"{file} cannot be read: {exception.Message}");
        }
        if (rows.Count == 0)
            throw new UsageException($"{file}: no row can be used.{(bad.Count > 0 ? $" The first: {bad[0]}." : "")}");
        if (bad.Count > rows.Count)
            throw new UsageException($"{file}: {bad.Count} of {rows.Count + bad.Count} rows cannot be used, which is too many to go on. The first: {string.Join("; ", bad.Take(5))}.");
        notes.AddRange(bad.Select(sentence => $"{what}, {sentence}; the row was left out."));
        return rows;
    }

    static (Row? Row, string Reason) Understand(CsvReader csv)
    {
        string Field(string name) => csv.GetString(name).Trim().Trim('"').Trim();
        if (!DateTimeOffset.TryParse(Field("reported_at"), CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var reportedAt))
            return (null, $"reported_at is not a time: '{Shorten(Field("reported_at"))}'");
        if (!double.TryParse(Field("latitude"), NumberStyles.Float, CultureInfo.InvariantCulture, out var latitude)
            || !double.TryParse(Field("longitude"), NumberStyles.Float, CultureInfo.InvariantCulture, out var longitude)
            || !new GeoPoint(latitude, longitude).IsOnEarth)
            return (null, $"latitude and longitude are not a place on earth: '{Shorten(Field("latitude"))}', '{Shorten(Field("longitude"))}'");
        var codes = Field("category_codes").ToLowerInvariant()
            .Split([' ', ',', ';', '|', '/', '\t', '.', '"'], StringSplitOptions.RemoveEmptyEntries)
            .Distinct().ToList();
        var serial = Field("serial") is { Length: > 0 } given ? given : $"line-{csv.LineNumber}";
        return (new Row((int)csv.LineNumber, serial, reportedAt, new GeoPoint(latitude, longitude), codes), "");
    }

    static string Shorten(string text) => text.Length <= 40 ? text : text[..40] + "…";

    /// <summary>A blank or unknown code still is a call for help: it asks for basic needs.</summary>
    static List<(string Kind, Urgency Urgency)> KindsAsked(Row row)
    {
        // "1c" says more than the "1" beside it, which only names its family.
        var codes = row.Codes.Where(code => code.Length > 1 || !row.Codes.Any(other => other.Length > 1 && other[0] == code[0]));
        var asked = codes
            .Select(code => NeedKinds.TryGetValue(code, out var known) ? known
                : NeedFamilies.TryGetValue(code[0], out var family) ? family
                : (Kind: ServiceKinds.BasicNeeds, Urgency: Urgency.Routine))
            .GroupBy(need => need.Kind).Select(same => (same.Key, same.Max(need => need.Urgency))).ToList();
        return asked.Count > 0 ? asked : [(ServiceKinds.BasicNeeds, Urgency.Hardship)];
    }

    /// <summary>
    /// When each row is replayed, in days. Silence longer than a few hours is shortened, and half of the position comes
    /// from the rank: the first weeks bring most of the calls, and one machine must carry them too.
    /// </summary>
    static double[] ReplayDays(List<Row> rows)
    {
        var clock = new double[rows.Count];
        for (var index = 1; index < rows.Count; index++)
            clock[index] = clock[index - 1] + Math.Min(LongestGap.TotalDays, (rows[index].ReportedAt - rows[index - 1].ReportedAt).TotalDays);
        var length = Math.Max(clock[^1], rows.Count / 50.0);
        var end = clock[^1] > 0 ? clock[^1] : 1;
        return [.. clock.Select((day, index) => (0.5 * day / end + 0.5 * (index + 0.5) / rows.Count) * length)];
    }

    static Calendar MakeCalendar(List<Row> rows, double[] days, int needCount)
    {
        var length = days[^1] * 1.02 + 0.01;
        double Before(double share)
        {
            var index = Math.Clamp((int)Math.Ceiling(rows.Count * share), 1, rows.Count);
            return index == rows.Count ? (days[^1] + length) / 2 : (days[index - 1] + days[index]) / 2;
        }
        var (closure, reopening) = (Before(ClosureShare), Before(ReopeningShare));
        var seconds = Math.Clamp(needCount / 15.0, 20, Math.Max(200, needCount / 26.0));
        var secondsPerDay = seconds / length;
        return new Calendar(rows[0].ReportedAt, closure, Math.Max(reopening - closure, 1e-6), Math.Max(length - reopening, 1e-6),
            FollowUpDays: 16 / secondsPerDay, SecondsPerDay: secondsPerDay, FollowUpSecondsPerDay: secondsPerDay,
            // As many seconds as w-district's patience: what is measured is the same in both.
            PatienceDays: 16 / secondsPerDay);
    }

    static ScenarioRequest BuildRequest(int seed, Row row, double day, Calendar calendar)
    {
        var random = Seeded.Stream(seed, $"haiti {row.Serial}");
        var asked = KindsAsked(row);
        // In the first half help takes long enough that providers have a stock in hand when they close.
        var (shortest, longest) = calendar.PhaseOf(day) == Phase.Open ? (4.0, 18.0) : (1.0, 6.0);
        return new ScenarioRequest(
            $"report-{row.Serial}", day, $"reporter-{row.Serial}", ByProxy: true, row.Place, SubDistrict: null,
            asked.Max(need => need.Urgency), [],
            [.. asked.Select(need => new ScenarioNeed(
                need.Kind, DeliveryMode.Offline, 1, random.Between(shortest, longest) / calendar.SecondsPerDay, $"category {string.Join(' ', row.Codes)}"))],
            AfterHelp: random.Happens(0.3) ? AfterHelp.Confirms : AfterHelp.Silent);
    }

    /// <summary>The files know no sub-districts; the directory wants to know one for every site.</summary>
    const string WholeArea = "whole area";

    static List<ScenarioResponder> BuildResponders(int seed, List<Row> services, int needCount)
    {
        var providerCount = services.Count(row => row.Codes.Contains("7d"));
        var groupCount = services.Count - providerCount;
        // The files know no capacities. Providers together can hold a third of all needs, groups together half.
        var providerCapacity = Math.Max(3, (int)Math.Ceiling(needCount / 3.0 / Math.Max(1, providerCount)));
        var groupCapacity = Math.Max(3, (int)Math.Ceiling(needCount / 2.0 / Math.Max(1, groupCount)));
        return [.. services.Select(row =>
        {
            var isProvider = row.Codes.Contains("7d");
            var kinds = row.Codes.SelectMany(code => GivenKinds.GetValueOrDefault(code) ?? []).Distinct().ToArray();
            if (kinds.Length == 0)
                kinds = GivenKinds["7"];
            return new ScenarioResponder(
                Seeded.Id(seed, $"haiti service {row.Serial}"), isProvider, isProvider ? $"Clinic {row.Serial}" : $"Service {row.Serial}",
                isProvider ? "hospital or clinic" : "other service", "", [new ScenarioSite(row.Place, WholeArea)],
                RadiusMetres: null, SubDistricts: [], kinds, [DeliveryMode.Offline, DeliveryMode.Online], [],
                isProvider ? providerCapacity : groupCapacity, ZonePermit: false, LeaderHasDisability: null);
        })];
    }
}
