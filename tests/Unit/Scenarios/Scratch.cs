using Xunit;
using Huzhu.Contracts;
using Huzhu.Local.Scenarios;
namespace Huzhu.Tests.Unit.Scenarios;
public class Scratch
{
    [Fact]
    public void print()
    {
        foreach (var s in new[] { WDistrict.Build(), WDistrict.Build(seed: 1), WDistrict.Build(size: 300), Haiti2010.Build("/work/shared/data/haiti-2010/needs.csv", "/work/shared/data/haiti-2010/services.csv", 1) })
        {
            Console.WriteLine($"== {s.Name} {s.Seed} requests {s.Requests.Count} needs {s.NeedCount} cal {s.Calendar}");
            foreach (var f in s.Calibration) Console.WriteLine($"   {f}");
            foreach (var p in Enum.GetValues<Phase>()) Console.WriteLine($"   {p}: {s.Requests.Where(r => s.Calendar.PhaseOf(r.ArrivalDay) == p).Sum(r => r.Needs.Count)}");
            Console.WriteLine($"   repeats {s.Requests.Count(r => r.RepeatsKey != null)} cancels {s.Requests.Count(r => r.CancelAfterDays != null)} disputes {s.Requests.Count(r => r.AfterHelp == AfterHelp.Disputes)} concern {s.Requests.Count(r => r.AfterHelp == AfterHelp.RaisesConcern)} partial {s.Requests.Count(r => r.Missing != MissingPart.Nothing)}");
            foreach (var g in new[] { true, false })
            {
                var w = System.Diagnostics.Stopwatch.StartNew();
                var o = Counterfactual.Run(s, g);
                Console.WriteLine($"   groups {g}: " + string.Join(" ", Enum.GetValues<Phase>().Select(p => $"{p} {o.MetShare(p):0.000} (ful {o.Needs.Where(n => n.Phase == p).Average(n => n.FulfilledDay is null ? 0.0 : 1):0.000})")) + $" held {o.HeldAtClosure} {w.ElapsedMilliseconds} ms");
                if (g) foreach (var k in o.Needs.Where(n => n.Phase == Phase.Lockdown).GroupBy(n => s.Requests.First(r => r.Key == n.RequestKey).Needs[n.Index].Kind)) Console.WriteLine($"        {k.Key} {k.Count()} {k.Average(n => n.Met ? 1.0 : 0):0.00}");
            }
        }
    }
}
