namespace Huzhu.Web.Operator;

/// <summary>The clock, and new ids, for pages that publish something.</summary>
public sealed class DeskTime(TimeProvider time)
{
    public DateTimeOffset Now => time.GetUtcNow();

    public Guid NewId() => Guid.CreateVersion7(Now);
}
