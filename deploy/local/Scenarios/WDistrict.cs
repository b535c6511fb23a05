using System.Globalization;
using System.Text.Json;
using Huzhu.Contracts;

namespace Huzhu.Local.Scenarios;

/// <summary>
/// A district like the one of the field study: thirteen sub-districts, 318 self-organised groups, 18 formal nonprofits.
/// What the study counted is met exactly; what it did not count (places, capacities, when people call) is drawn from the
/// seed and said to be so. The map is synthetic: cells around made-up centres in a city that is really there.
/// </summary>
public static class WDistrict
{
    public const int DefaultSize = 5200;
    public const int DefaultSeed = 2022;
    const int CalibratedSize = DefaultSize;
    const int GroupCount = 318;
    const int GovernmentOrganised = 12, Infrastructure = 1, Independent = 5;

    // 46 groups, because 37 of 46 leaders are the study's 80.4 %.
    const int GroupsInJ = 46, LeadersInJ = 37, Leaders = 143;
    const int BasicNeeds = 245, Specialised = 251, Meals = 83, Donations = 99, Online = 286, Offline = 178;
    const int AcrossTheBorder = 9, WithPermit = 3;

    static readonly (string Name, double Latitude, double Longitude, double Population)[] Centres =
    [
        ("A", 31.2530, 121.4130, 0.9), ("B", 31.2545, 121.4370, 1.1), ("C", 31.2500, 121.4610, 0.8),
        ("D", 31.2370, 121.4050, 1.0), ("E", 31.2390, 121.4270, 1.2), ("F", 31.2365, 121.4480, 1.1), ("G", 31.2340, 121.4700, 0.8),
        ("H", 31.2200, 121.4080, 0.9), ("I", 31.2215, 121.4290, 1.0), ("J", 31.2190, 121.4510, 1.5), ("K", 31.2175, 121.4720, 0.8),
        ("L", 31.2040, 121.4230, 0.9), ("M", 31.2030, 121.4530, 1.0),
    ];

    static readonly GeoPoint[] Outline =
    [
        new(31.2640, 121.4020), new(31.2655, 121.4420), new(31.2610, 121.4690), new(31.2470, 121.4800), new(31.2250, 121.4840),
        new(31.2060, 121.4740), new(31.1940, 121.4520), new(31.1930, 121.4250), new(31.2020, 121.4040), new(31.2260, 121.3950), new(31.2480, 121.3960),
    ];

    // The disability communities that groups grew out of: what they can do in a conversation, and what to call them.
    static readonly (string Name, CommunicationNeed[] Always, CommunicationNeed[] Often, double Weight)[] Communities =
    [
        ("Deaf neighbours", [CommunicationNeed.SignLanguage, CommunicationNeed.TextOnly], [CommunicationNeed.Interpreter, CommunicationNeed.EasyRead], 0.17),
        ("Deaf mothers", [CommunicationNeed.SignLanguage, CommunicationNeed.TextOnly], [CommunicationNeed.Proxy, CommunicationNeed.Interpreter], 0.07),
        ("Blind masseurs", [CommunicationNeed.VoiceOnly, CommunicationNeed.ScreenReader], [CommunicationNeed.Proxy], 0.12),
        ("Low-vision readers", [CommunicationNeed.ScreenReader, CommunicationNeed.VoiceOnly], [CommunicationNeed.TextOnly, CommunicationNeed.EasyRead], 0.10),
        ("Wheelchair friends", [CommunicationNeed.TextOnly, CommunicationNeed.VoiceOnly], [CommunicationNeed.Proxy, CommunicationNeed.ScreenReader, CommunicationNeed.EasyRead], 0.22),
        ("Parents of autistic children", [CommunicationNeed.EasyRead, CommunicationNeed.Proxy, CommunicationNeed.TextOnly], [CommunicationNeed.VoiceOnly, CommunicationNeed.Interpreter], 0.14),
        ("Families of slow learners", [CommunicationNeed.EasyRead, CommunicationNeed.Proxy, CommunicationNeed.VoiceOnly], [CommunicationNeed.TextOnly], 0.10),
        ("Stroke survivors", [CommunicationNeed.TextOnly, CommunicationNeed.VoiceOnly, CommunicationNeed.Proxy], [CommunicationNeed.EasyRead, CommunicationNeed.Interpreter], 0.08),
    ];

    // How people who call need to be spoken to. Most need nothing particular; nobody's need is a preference.
    static readonly (CommunicationNeed[] Needs, double Weight)[] Callers =
    [
        ([], 0.44), ([CommunicationNeed.TextOnly], 0.14), ([CommunicationNeed.VoiceOnly], 0.11), ([CommunicationNeed.SignLanguage], 0.07),
        ([CommunicationNeed.ScreenReader], 0.05), ([CommunicationNeed.EasyRead], 0.06), ([CommunicationNeed.Proxy], 0.06),
        ([CommunicationNeed.Interpreter], 0.02), ([CommunicationNeed.SignLanguage, CommunicationNeed.TextOnly], 0.02),
        ([CommunicationNeed.EasyRead, CommunicationNeed.Proxy], 0.03),
    ];

    static readonly (string Kind, double Offline, string Note, double Open, double Lockdown)[] Kinds =
    [
        (ServiceKinds.BasicNeeds, 0.75, "help at home", 0.15, 0.10),
        (ServiceKinds.EpidemicControl, 0.65, "test, masks, registration", 0.07, 0.15),
        (ServiceKinds.Water, 1.00, "drinking water", 0.02, 0.03),
        (ServiceKinds.Medicine, 0.60, "regular medicine runs out", 0.17, 0.21),
        (ServiceKinds.Counselling, 0.12, "somebody to talk to", 0.13, 0.13),
        (ServiceKinds.MedicalCare, 0.85, "wound care, rehabilitation", 0.13, 0.08),
        (ServiceKinds.Specialised, 0.40, "assistive device, paperwork", 0.06, 0.04),
        (ServiceKinds.Meals, 0.93, "cooked meals", 0.16, 0.15),
        (ServiceKinds.Goods, 0.70, "diapers, rice, a phone", 0.07, 0.08),
        (ServiceKinds.Money, 0.05, "emergency allowance", 0.04, 0.03),
    ];

    /// <param name="size">Needs in all, repeated calls included. From 1 on; capacities grow with it above the calibrated size.</param>
    public static Scenario Build(int size = DefaultSize, int seed = DefaultSeed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        const double openDays = 28, lockdownDays = 42, recoveryDays = 14;
        var calendar = new Calendar(
            StartsAt: new DateTimeOffset(2022, 3, 1, 0, 0, 0, TimeSpan.FromHours(8)),
            openDays, lockdownDays, recoveryDays,
            FollowUpDays: 24,
            SecondsPerDay: Math.Max(20, size / 13.0) / (openDays + lockdownDays + recoveryDays),
            FollowUpSecondsPerDay: 0.5,
            PatienceDays: 7);

        var areas = Centres.Select(centre => new Area(centre.Name, Cell(centre))).ToList();
        var growth = Math.Max(1, size / (double)CalibratedSize);
        var groups = BuildGroups(seed, areas, growth);
        var providers = BuildProviders(seed, areas, growth);
        var requests = BuildRequests(seed, size, calendar, areas, groups);
        return new Scenario(
            "w-district", "W District, a synthetic district with the study's figures", seed, calendar,
            new Behaviour(
                ProviderDeclines: 0.03, ProviderSilent: 0.01, GroupDeclines: 0.08, GroupSilent: 0.03, Releases: 0.01, CompletesInPart: 0.25,
                AnswerSecondsMin: 0.02, AnswerSecondsMax: 0.25),
            areas, [.. providers, .. groups], requests,
            // A little wider than the district: everything inside it is sealed, what lies across the border is not.
            [.. Outline.Select(point => new GeoPoint(
                Math.Round(31.228 + (point.Latitude - 31.228) * 1.03, 5), Math.Round(121.438 + (point.Longitude - 121.438) * 1.03, 5)))],
            Calibrate(groups, providers),
            []);
    }

    /// <summary>The outlines of the sub-districts, as a GeoJSON FeatureCollection of polygons with a name.</summary>
    public static string OutlinesAsGeoJson() => JsonSerializer.Serialize(new
    {
        type = "FeatureCollection",
        features = Centres.Select(centre =>
        {
            var ring = Cell(centre);
            return new
            {
                type = "Feature",
                properties = new { name = centre.Name },
                geometry = new { type = "Polygon", coordinates = new[] { ring.Append(ring[0]).Select(point => new[] { point.Longitude, point.Latitude }) } },
            };
        }),
    });

    static List<GeoPoint> Cell((string Name, double Latitude, double Longitude, double Population) mine)
    {
        List<GeoPoint> ring = [.. Outline];
        foreach (var other in Centres.Where(other => other.Name != mine.Name))
            ring = Geometry.CutNearer(ring, new(mine.Latitude, mine.Longitude), new(other.Latitude, other.Longitude));
        return [.. ring.Select(point => new GeoPoint(Math.Round(point.Latitude, 6), Math.Round(point.Longitude, 6)))];
    }

    static List<ScenarioResponder> BuildGroups(int seed, List<Area> areas, double growth)
    {
        var random = Seeded.Stream(seed, "groups");
        var subDistricts = SpreadOverAreas(random);
        var leads = Chosen(random, GroupCount, index => subDistricts[index] == "J", LeadersInJ, Leaders - LeadersInJ);
        var basic = Chosen(random, GroupCount, BasicNeeds);
        // Most groups without basic needs give specialised help, as the two shares demand; a few give neither.
        const int neither = 14;
        var specialised = Chosen(random, GroupCount, index => !basic[index], GroupCount - BasicNeeds - neither, Specialised - (GroupCount - BasicNeeds - neither));
        bool Neither(int index) => !basic[index] && !specialised[index];
        var meals = Chosen(random, GroupCount, Neither, neither / 2, Meals - neither / 2);
        var donations = Chosen(random, GroupCount, index => Neither(index) && !meals[index], neither - neither / 2, Donations - (neither - neither / 2));
        var online = Chosen(random, GroupCount, Online);
        // Whoever is not online must be offline; the study's shares leave the rest to do both.
        var offline = Chosen(random, GroupCount, index => !online[index], GroupCount - Online, Offline - (GroupCount - Online));

        var across = new HashSet<int>(Enumerable.Range(0, GroupCount).Where(index => offline[index]).OrderBy(_ => random.Next()).Take(AcrossTheBorder));
        var permitted = across.Take(WithPermit).ToHashSet();
        var numbers = new Dictionary<string, int>();
        var groups = new List<ScenarioResponder>();
        for (var index = 0; index < GroupCount; index++)
        {
            var area = areas.Single(area => area.Name == subDistricts[index]);
            var community = random.Pick([.. Communities.Select(community => (community, community.Weight))]);
            var name = $"{community.Name} of {area.Name}";
            numbers[name] = numbers.GetValueOrDefault(name) + 1;
            if (numbers[name] > 1)
                name += $" ({numbers[name]})";
            var place = across.Contains(index) ? AcrossBorder(random) : Within(random, area);
            List<string> kinds = [];
            if (basic[index])
                kinds.Add(ServiceKinds.BasicNeeds);
            if (specialised[index])
                kinds.AddRange(random.Happens(0.72) ? [ServiceKinds.Specialised] : [ServiceKinds.Medicine, ServiceKinds.Counselling]);
            if (meals[index])
                kinds.Add(ServiceKinds.Meals);
            if (donations[index])
                kinds.Add(ServiceKinds.Donations);
            List<CommunicationNeed> abilities = [.. community.Always, .. community.Often.Where(_ => random.Happens(0.55))];
            List<DeliveryMode> modes = [];
            if (online[index])
                modes.Add(DeliveryMode.Online);
            if (offline[index])
                modes.Add(DeliveryMode.Offline);
            groups.Add(new ScenarioResponder(
                Seeded.Id(seed, $"group {index}"), IsProvider: false, name, community.Name, area.Name,
                [new ScenarioSite(place, area.Name)],
                RadiusMetres: offline[index] ? Math.Round(random.Between(2000, 4500) / 100) * 100 : null,
                SubDistricts: [], kinds, modes, [.. abilities.Distinct().Order()],
                Capacity: (int)Math.Round((random.Happens(0.15) ? random.Next(7, 12) : random.Next(2, 7)) * growth),
                ZonePermit: permitted.Contains(index),
                LeaderHasDisability: leads[index]));
        }
        return groups;
    }

    static string[] SpreadOverAreas(Random random)
    {
        var others = Centres.Where(centre => centre.Name != "J").ToList();
        var weight = others.Sum(centre => centre.Population);
        var counts = others.ToDictionary(centre => centre.Name, centre => (int)((GroupCount - GroupsInJ) * centre.Population / weight));
        for (var left = GroupCount - GroupsInJ - counts.Values.Sum(); left > 0; left--)
            counts[others[left % others.Count].Name]++;
        counts["J"] = GroupsInJ;
        var names = counts.SelectMany(entry => Enumerable.Repeat(entry.Key, entry.Value)).ToArray();
        random.Shuffle(names);
        return names;
    }

    static List<ScenarioResponder> BuildProviders(int seed, List<Area> areas, double growth)
    {
        var random = Seeded.Stream(seed, "providers");
        var order = areas.ToArray();
        random.Shuffle(order);
        CommunicationNeed[] all = Enum.GetValues<CommunicationNeed>();
        var providers = new List<ScenarioResponder>();
        void Add(string name, string description, string[] kinds, int capacity, int sites, double abilities)
        {
            var index = providers.Count;
            var places = Enumerable.Range(0, sites).Select(site => order[(index + site * 5) % order.Length])
                .Select(area => new ScenarioSite(Within(random, area), area.Name)).ToList();
            providers.Add(new ScenarioResponder(
                Seeded.Id(seed, $"provider {index}"), IsProvider: true, name, description, places[0].SubDistrict, places,
                RadiusMetres: null, SubDistricts: [], kinds, [DeliveryMode.Online, DeliveryMode.Offline],
                [.. all.Where(ability => ability is CommunicationNeed.TextOnly or CommunicationNeed.VoiceOnly || random.Happens(abilities))],
                (int)Math.Round(capacity * growth), ZonePermit: false, LeaderHasDisability: random.Happens(0.1)));
        }

        for (var index = 0; index < GovernmentOrganised; index++)
        {
            string[] kinds = (index % 4) switch
            {
                0 => [ServiceKinds.BasicNeeds, ServiceKinds.Specialised, ServiceKinds.Meals],
                1 => [ServiceKinds.BasicNeeds, ServiceKinds.Specialised, ServiceKinds.Donations],
                2 => [ServiceKinds.BasicNeeds, ServiceKinds.Meals, ServiceKinds.Donations],
                _ => [ServiceKinds.Specialised, ServiceKinds.Meals],
            };
            Add($"Sunshine Home {index + 1}", "government-organised nonprofit", kinds, random.Next(110, 141), random.Next(2, 5), 0.7);
        }
        for (var index = 0; index < Infrastructure; index++)
            Add("District Nonprofit Hub", "infrastructure nonprofit",
                [ServiceKinds.BasicNeeds, ServiceKinds.Specialised, ServiceKinds.Meals, ServiceKinds.Donations], 160, 4, 1);
        (string Name, string[] Kinds)[] independents =
        [
            ("Rehabilitation Centre", [ServiceKinds.MedicalCare, ServiceKinds.Medicine]),
            ("Listening Room", [ServiceKinds.Counselling]),
            ("Barrier-Free Kitchen", [ServiceKinds.Meals]),
            ("Second Spring Charity", [ServiceKinds.Donations, ServiceKinds.BasicNeeds]),
            ("Sign and Sound", [ServiceKinds.Specialised]),
        ];
        for (var index = 0; index < Independent; index++)
            Add(independents[index].Name, "independent nonprofit", independents[index].Kinds, random.Next(80, 111), random.Next(2, 4), 0.8);
        return providers;
    }

    static List<ScenarioRequest> BuildRequests(int seed, int size, Calendar calendar, List<Area> areas, List<ScenarioResponder> groups)
    {
        var random = Seeded.Stream(seed, "requests");
        (Area, double)[] population = [.. areas.Zip(Centres, (area, centre) => (area, centre.Population))];
        // People live in estates, not evenly: needs gather around a few dozen places.
        var estates = areas.ToDictionary(area => area.Name, area => Enumerable.Range(0, 6).Select(_ => Within(random, area)).ToArray());
        var groupsOf = groups.ToLookup(group => group.SubDistrict);

        var requests = new List<ScenarioRequest>();
        var needs = 0;
        for (var number = 1; needs < size; number++)
        {
            var day = ArrivalDay(random, calendar, needs, size);
            var phase = calendar.PhaseOf(day);
            var area = random.Pick(population);
            var communication = random.Pick([.. Callers.Select(caller => (caller.Needs, caller.Weight))]);
            var count = needs + 2 <= size && random.Happens(0.08) ? 2 : 1;
            List<ScenarioNeed> asked = [];
            while (asked.Count < count)
            {
                var kind = random.Pick([.. Kinds.Select(kind => (kind, phase == Phase.Open ? kind.Open : kind.Lockdown))]);
                if (asked.All(earlier => earlier.Kind != kind.Kind))
                    asked.Add(new ScenarioNeed(
                        kind.Kind, random.Happens(kind.Offline) ? DeliveryMode.Offline : DeliveryMode.Online,
                        random.Happens(0.85) ? 1 : random.Next(2, 5), WorkDays(random, phase), kind.Note));
            }
            needs += asked.Count;
            ScenarioResponder? own = null;
            if (random.Happens(0.07) && groupsOf[area.Name].ToList() is { Count: > 0 } near)
                own = random.Pick(near);
            requests.Add(new ScenarioRequest(
                $"call-{number:00000}", day, $"person-{number:00000}", communication.Contains(CommunicationNeed.Proxy),
                Near(random, random.Pick(estates[area.Name]), area), area.Name,
                random.Pick([(Urgency.LifeThreatening, 0.02), (Urgency.Health, 0.24), (Urgency.Hardship, 0.40), (Urgency.Routine, 0.34)]),
                communication, asked, own?.Id,
                random.Happens(0.02) ? random.Pick([MissingPart.Location, MissingPart.Consent]) : MissingPart.Nothing,
                CancelAfterDays: random.Happens(0.012) ? random.Between(0.5, 6) : null,
                AfterHelp: random.Happens(0.4) ? random.Happens(0.012) ? AfterHelp.Disputes : AfterHelp.Confirms : AfterHelp.Silent));

            // A few call again about the same thing while it is under way; some of them because it has become worse.
            var first = requests[^1];
            if (needs < size && first.Needs[0].WorkDays > 3 && first.Missing == MissingPart.Nothing && random.Happens(0.035))
            {
                var again = first.ArrivalDay + random.Between(0.7, 2.5);
                requests.Add(first with
                {
                    Key = first.Key + "-again",
                    ArrivalDay = Math.Min(again, calendar.PhasesEndDay - 1),
                    Needs = [first.Needs[0]],
                    Urgency = random.Happens(0.4) ? (Urgency)Math.Min((int)first.Urgency + 1, (int)Urgency.LifeThreatening) : first.Urgency,
                    RepeatsKey = first.Key,
                    CancelAfterDays = null,
                    AfterHelp = AfterHelp.Silent,
                });
                needs++;
            }
        }
        requests.Sort((left, right) => (left.ArrivalDay, left.Key).CompareTo((right.ArrivalDay, right.Key)));

        // One person is worried by who came: safety goes to humans, and only to them.
        var worried = requests.FindIndex(request => calendar.PhaseOf(request.ArrivalDay) == Phase.Lockdown && request.Needs is [{ WorkDays: < 3 }]
            && request is { Missing: MissingPart.Nothing, CancelAfterDays: null, RepeatsKey: null });
        if (worried >= 0)
            requests[worried] = requests[worried] with { AfterHelp = AfterHelp.RaisesConcern };
        return requests;
    }

    const double OpenShare = 0.36, LockdownShare = 0.47, RecoveryShare = 0.17;

    /// <summary>When a need arrives: the lockdown's share has its crest from the second to the fourth week.</summary>
    static double ArrivalDay(Random random, Calendar calendar, int number, int size)
    {
        var share = (number + random.NextDouble()) / (size + 1);
        if (share < OpenShare)
            return share / OpenShare * calendar.OpenDays;
        if (share < OpenShare + LockdownShare)
        {
            // An eighth in the first week, three fifths from the second to the fourth, less at the end: people stop asking.
            var t = (share - OpenShare) / LockdownShare;
            var days = t switch
            {
                < 0.125 => t / 0.125 * 7,
                < 0.725 => 7 + (t - 0.125) / 0.60 * 21,
                < 0.90 => 28 + (t - 0.725) / 0.175 * 7,
                _ => 35 + (t - 0.90) / 0.10 * 7,
            };
            return calendar.ClosureDay + days / 42 * calendar.LockdownDays;
        }
        // The last two days bring nothing new, so that the last offers are answered within the phase.
        return calendar.ReopeningDay + (share - OpenShare - LockdownShare) / RecoveryShare * (calendar.RecoveryDays - 2);
    }

    /// <summary>In ordinary weeks most help is a lasting arrangement; in a lockdown it is mostly a delivery.</summary>
    static double WorkDays(Random random, Phase phase) => Math.Round(phase switch
    {
        Phase.Open => random.Happens(0.74) ? random.Between(18, 40) : random.Between(0.5, 4),
        Phase.Lockdown => random.Happens(0.22) ? random.Between(8, 22) : random.Between(0.4, 4),
        Phase.Recovery => random.Happens(0.15) ? random.Between(6, 18) : random.Between(0.4, 4),
    }, 2);

    static GeoPoint Within(Random random, Area area)
    {
        var (south, north) = (area.Ring.Min(point => point.Latitude), area.Ring.Max(point => point.Latitude));
        var (west, east) = (area.Ring.Min(point => point.Longitude), area.Ring.Max(point => point.Longitude));
        while (true)
        {
            var place = new GeoPoint(Math.Round(random.Between(south, north), 5), Math.Round(random.Between(west, east), 5));
            if (Geometry.Contains(area.Ring, place))
                return place;
        }
    }

    static GeoPoint Near(Random random, GeoPoint estate, Area area)
    {
        for (var attempt = 0; attempt < 20; attempt++)
        {
            var radius = 0.0035 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) / 2;
            var angle = random.Between(0, 2 * Math.PI);
            var place = new GeoPoint(
                Math.Round(estate.Latitude + radius * Math.Sin(angle), 5), Math.Round(estate.Longitude + radius * Math.Cos(angle) / 0.855, 5));
            if (Geometry.Contains(area.Ring, place))
                return place;
        }
        return estate;
    }

    /// <summary>A group of the district whose base lies just across its border: the seal separates the two.</summary>
    static GeoPoint AcrossBorder(Random random)
    {
        var edge = random.Next(Outline.Length);
        var (a, b, t) = (Outline[edge], Outline[(edge + 1) % Outline.Length], random.NextDouble());
        double Out(double from, double to, double centre) => Math.Round(centre + (from + t * (to - from) - centre) * 1.12, 5);
        return new GeoPoint(Out(a.Latitude, b.Latitude, 31.228), Out(a.Longitude, b.Longitude, 121.438));
    }

    static bool[] Chosen(Random random, int count, int chosen) => Chosen(random, count, _ => false, 0, chosen);

    /// <summary>Exactly so many of those that <paramref name="preferred"/> holds for, and exactly so many of the others.</summary>
    static bool[] Chosen(Random random, int count, Func<int, bool> preferred, int chosenPreferred, int chosenOthers)
    {
        var indexes = Enumerable.Range(0, count).ToArray();
        random.Shuffle(indexes);
        var marks = new bool[count];
        foreach (var index in indexes.Where(preferred).Take(chosenPreferred).Concat(indexes.Where(index => !preferred(index)).Take(chosenOthers)))
            marks[index] = true;
        return marks;
    }

    static List<Figure> Calibrate(List<ScenarioResponder> groups, List<ScenarioResponder> providers)
    {
        var inJ = groups.Where(group => group.SubDistrict == "J").ToList();
        Figure Share(string name, string aimed, IReadOnlyCollection<ScenarioResponder> of, Func<ScenarioResponder, bool> counted) =>
            new(name, aimed, (of.Count(counted) / (double)of.Count).ToString("0.0 %", CultureInfo.InvariantCulture), "study");
        Func<ScenarioResponder, bool> Gives(string root) => group => group.ServiceKinds.Any(kind => ServiceKinds.RootOf(kind) == root);
        return
        [
            new("Self-organised groups", "318", $"{groups.Count}", "study"),
            new("Formal nonprofits", "18 (12 government-organised, 1 infrastructure, 5 independent)", $"{providers.Count}", "study"),
            new("Sub-districts", "13", $"{Centres.Length}", "study"),
            Share("Groups that give basic needs and epidemic control", "77 %", groups, Gives(ServiceKinds.BasicNeeds)),
            Share("Groups that give specialised help", "79 %", groups, Gives(ServiceKinds.Specialised)),
            Share("Groups that give meals", "26 %", groups, Gives(ServiceKinds.Meals)),
            Share("Groups that give donations", "31 %", groups, Gives(ServiceKinds.Donations)),
            Share("Groups that help online", "90 %", groups, group => group.Modes.Contains(DeliveryMode.Online)),
            Share("Groups that help offline", "56 %", groups, group => group.Modes.Contains(DeliveryMode.Offline)),
            Share("Group leaders with a disability, whole district", "45 %", groups, group => group.LeaderHasDisability == true),
            Share("Group leaders with a disability, J sub-district", "80.4 %", inJ, group => group.LeaderHasDisability == true),
            new("Places of work of the providers", "not counted", $"{providers.Sum(provider => provider.Sites.Count)}", "simulation"),
            new("Places of all providers", "not counted", $"{providers.Sum(provider => provider.Capacity)}", "simulation"),
            new("Places of all groups", "not counted", $"{groups.Sum(group => group.Capacity)}", "simulation"),
        ];
    }
}
