using System.CommandLine;
using System.Text.Json;
using Huzhu.Audit.Erasing;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Verbs;

/// <summary>Who was erased, when, by whom and on what ground, and whether anything of theirs can still be read.</summary>
static class ErasureReport
{
    public static Command Command(Settings settings)
    {
        var id = new Argument<Guid?>("person") { Description = "Only this person.", Arity = ArgumentArity.ZeroOrOne };
        var json = new Option<bool>("--json") { Description = "As JSON." };
        var command = new Command("erasure-report", "Who was erased, and whether anything of theirs can still be read.") { id, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            var found = new List<ErasureFound>();
            foreach (var service in PersonEvents.Services)
            {
                await using var log = settings.Open(service);
                found.AddRange(await PersonEvents.ErasuresAsync(log, parsed.GetValue(id), cancellation));
            }
            if (found.Count == 0 && parsed.GetValue(id) is { } person)
                throw new AuditException($"No log says that {person} was erased.");
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await output.WriteLineAsync(JsonSerializer.Serialize(found.OrderBy(one => one.Erased.At).Select(one =>
                    new { one.Service, one.Erased.PersonId, one.Erased.At, one.Erased.By, one.Erased.Basis, left = one.Remainder.ToString() }), Json));
            else
            {
                foreach (var one in found.OrderBy(one => one.Erased.At))
                    await output.WriteLineAsync($"{StoredEvent.TimeText(one.Erased.At)}  {one.Service,-13} {one.Erased.PersonId}  by {one.Erased.By}, {one.Erased.Basis}: {Words(one.Remainder)}");
                await output.WriteLineAsync($"{found.Count} erasure{(found.Count == 1 ? "" : "s")}, {found.Count(one => one.Remainder == Remainder.Key)} of which left a key. Backups and archived WAL from before an erasure still hold the wrapped key: they are yours to let expire.");
            }
            return found.Exists(one => one.Remainder == Remainder.Key) ? ExitCodes.Found : ExitCodes.Ok;
        });
        return command;
    }

    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private static string Words(Remainder remainder) => remainder switch
    {
        Remainder.Nothing => "no key is left, nothing can be read",
        Remainder.GivenSince => "nothing from before can be read; has given data again since",
        Remainder.Key => "A KEY IS THERE, and nothing was given since: the erasure has been undone",
    };
}
